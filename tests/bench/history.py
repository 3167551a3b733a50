"""The body of history.sh: makes the ticks, gives them to everybody, and sets the figures side by side."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import harness
import history_ticks
from link import Link, percentile

MINUTE_ASSETS = 20


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(open("/proc/meminfo").readline().split()[1]) >> 20
    return f"{os.cpu_count()} cores ({cpu}), {memory} GB, load {os.getloadavg()[0]:.1f} at the beginning"


def over_rest(folder, tick_assets, decimals, day, month):
    """The same charts as a program gets them: HTTP over a connection that stays open."""
    with harness.Venue("--symbols", "BTCUSD", "--no-quotes") as venue:
        names = [f"T{i:05}-USD" for i in range(tick_assets)] + [f"M{i:05}-USD" for i in range(MINUTE_ASSETS)]
        assets = [f"symbol: {name}, decimals: {decimals}, size_decimals: 0, sources: {{v: {name[:6]}}}" for name in names]
        assets.append("symbol: BTC-USD, decimals: 8, size_decimals: 8, sources: {v: BTCUSD}")
        with harness.Engine([f"name: v, dialect: binance, url: \"{venue.url}\""], assets, folder=folder,
                            extra="limits: {requests_per_second: 1000000}\n") as engine:
            link, answers = Link(engine.port), {}
            for what, name, count, path in (("day", "T", tick_assets, f"interval=1m&start={day[0]}&end={day[1]}&limit=1440"),
                                            ("month", "M", MINUTE_ASSETS, f"interval=1h&start={month[0]}&end={month[1]}&limit=500")):
                took = []
                for i in range(500):
                    seconds, body = link.timed(f"/api/v1/candles/{name}{i * 7919 % count:05}-USD?{path}")
                    took.append(seconds * 1e3)
                rows = len(json.loads(body)["t"])
                answers[what] = {"p50_ms": percentile(took[1:], .5), "p99_ms": percentile(took[1:], .99), "rows": rows}
            return answers


def ours(folder, ticks_path, ticks, minutes_path, minutes, decimals):
    assets = int(ticks["asset"].max()) + 1
    data = folder / "engine" / "data"
    data.mkdir(parents=True)
    text = subprocess.check_output([str(harness.BIN / "history_store"), str(data), ticks_path, str(assets), minutes_path, str(MINUTE_ASSETS), str(decimals)], text=True)
    inside = json.loads(text)
    start = int(ticks["time"][-1]) // history_ticks.DAY_US * history_ticks.DAY_US
    month = int(minutes["time"][0]), int(minutes["time"][-1]) + 60_000_000
    rest = over_rest(folder / "engine", assets, decimals, (start, start + history_ticks.DAY_US), month)
    per_cpu_s = len(ticks) / inside["ingest_cpu_s"]
    return {"name": "pxengine", "settled_per_cpu_s": len(ticks) / inside["bulk_settled_cpu_s"], "bulk_per_cpu_s": len(ticks) / inside["bulk_cpu_s"],
            "inside": inside, "live_per_cpu_s": per_cpu_s, "live_per_s": len(ticks) / inside["ingest_wall_s"],
            "bytes_per_tick": inside["bytes_per_tick"] - inside["bytes_candles"], **rest}


def line(name, row):
    return (f"{name:24} {row['live_per_cpu_s'] / 1e6:8.3f} {row['live_per_s'] / 1e6:8.3f} {row.get('bulk_per_cpu_s', float('nan')) / 1e6:8.2f} {row['settled_per_cpu_s'] / 1e6:8.2f} {row['bytes_per_tick']:8.2f} "
            f"{row['day']['p50_ms']:9.2f} {row['day']['p99_ms']:8.2f} {row['month']['p50_ms']:9.2f} {row['month']['p99_ms']:8.2f}")


def show(title, own, peers):
    print(f"\n{title}\n{'':24} {'live M/s':>8} {'':>8} {'bulk M/s':>8} {'settled':>8} {'bytes':>8} {'a day as minutes, ms':>18} {'500 of a month, ms':>18}")
    print(f"{'':24} {'a core':>8} {'clock':>8} {'a core':>8} {'a core':>8} {'a tick':>8} {'p50':>9} {'p99':>8} {'p50':>9} {'p99':>8}")
    print(line("pxengine, over REST", own))
    inside = own["inside"]
    print(f"{'  inside the process':24} {'':8} {'':8} {'':8} {'':8} {'':8} {inside['day_p50_ms']:9.3f} {inside['day_p99_ms']:8.3f} {inside['month_p50_ms']:9.3f} {inside['month_p99_ms']:8.3f}")
    print(f"{'  out of its ticks':24} {'':8} {'':8} {'':8} {'':8} {'':8} {inside['day_of_ticks_p50_ms']:9.3f} {inside['day_of_ticks_p99_ms']:8.3f}")
    print(f"  its candles of four levels, which the peers do not keep: {inside['bytes_candles']:.2f} bytes a tick more, made while the ticks came in")
    for peer in peers:
        print(line(peer["name"], peer), flush=True)


def ratios(own, peers):
    """Above 1: ahead."""
    figures = {}
    for peer in peers:
        name = peer["peer"]
        figures[f"ingest_vs_{name}"] = own["live_per_cpu_s"] / peer["live_per_cpu_s"]
        figures[f"ingest_vs_{name}_bulk"] = own["bulk_per_cpu_s"] / peer["bulk_per_cpu_s"]
        figures[f"settled_vs_{name}"] = own["settled_per_cpu_s"] / peer["settled_per_cpu_s"]
        figures[f"bytes_vs_{name}"] = peer["bytes_per_tick"] / own["bytes_per_tick"]
        figures[f"day_p50_vs_{name}"] = peer["day"]["p50_ms"] / own["day"]["p50_ms"]
        figures[f"day_p99_vs_{name}"] = peer["day"]["p99_ms"] / own["day"]["p99_ms"]
        figures[f"month_p50_vs_{name}"] = peer["month"]["p50_ms"] / own["month"]["p50_ms"]
    return {key: round(value, 2) for key, value in figures.items()}


def run_peer(name, ticks_path, minutes_path, folder):
    place = folder / name
    place.mkdir()
    done = subprocess.run([sys.executable, str(HERE / "history_peers.py"), name, ticks_path, minutes_path, str(place)], text=True, stdout=subprocess.PIPE, timeout=1800)
    shutil.rmtree(place)
    if done.returncode != 0:
        print(f"{name} failed, and is left out", flush=True)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(title, label, ticks, minutes, decimals, options, folder):
    folder = folder / label
    folder.mkdir()
    folder.chmod(0o755)
    ticks_path, minutes_path = str(folder / "ticks"), str(folder / "minutes")
    ticks.tofile(ticks_path)
    minutes.tofile(minutes_path)
    own = ours(folder, ticks_path, ticks, minutes_path, minutes, decimals)
    peers = [peer for name in options.peers.split(",") if name and (peer := run_peer(name, ticks_path, minutes_path, folder))]
    show(title, own, peers)
    figures = ratios(own, peers)
    print(json.dumps({"bench": "history", "set": label, "ticks": len(ticks), "bytes_per_tick": round(own["bytes_per_tick"], 3),
                      "ingest_m_per_core_s": round(own["live_per_cpu_s"] / 1e6, 3), "day_p50_ms": round(own["day"]["p50_ms"], 3),
                      "day_p99_ms": round(own["day"]["p99_ms"], 3), **figures}), flush=True)
    return [key for key, value in figures.items() if value < 1 and "p99" not in key]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--peers", default="duckdb,clickhouse")
    options = parser.parse_args()
    print(machine())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="px-history-"))
    folder.chmod(0o755)
    assets, copies = (10, 2) if options.quick else (50, 28)
    behind = []
    try:
        minutes = history_ticks.minutes(MINUTE_ASSETS, 31)
        behind += measure(f"made up: {assets} assets x 1 day, one tick a second", "walk", history_ticks.walk(assets, 86400), minutes, 2, options, folder)
        lean = harness.RECORDINGS / "lean"
        if lean.is_dir():
            ticks = history_ticks.recorded(lean, copies)
            behind += measure(f"recorded: bids of foreign exchange and gold in us, {copies * 5} assets x 1 day", "fx", ticks, minutes, 5, options, folder)
        else:
            print(f"no recordings in {lean}: made-up ticks only")
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if behind:
        print("behind in " + ", ".join(behind))
    return 1 if behind else 0


if __name__ == "__main__":
    sys.exit(main())
