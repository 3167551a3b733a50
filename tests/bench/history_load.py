"""The body of history_load.sh: an engine under load, watched from /proc and asked over REST."""
import argparse
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1]), str(pathlib.Path(__file__).resolve().parent)]
import harness
from link import Link, histogram, histogram_percentile, percentile

TICK_HZ = os.sysconf("SC_CLK_TCK")


def ask(port, symbols, path, per_second, until, results):
    """Asks for `path` of random assets at a steady pace."""
    link, took, dice = Link(port), [], random.Random(path)
    turn = time.monotonic()
    while time.monotonic() < until:
        turn += 1 / per_second
        time.sleep(max(0, turn - time.monotonic()))
        took.append(link.timed(path.format(dice.choice(symbols)))[0])
    results.put(("took", path, took))


def follow(port, symbols, until, results):
    """Waits for the next price of a random asset, then reads its newest stored tick until that price is there."""
    link, ages, dice = Link(port), [], random.Random(1)
    while time.monotonic() < until:
        symbol = dice.choice(symbols)
        first = json.loads(link.timed(f"/api/v1/prices/{symbol}")[1])["seq"]
        for _ in range(1500):
            price = json.loads(link.timed(f"/api/v1/prices/{symbol}")[1])
            if price["seq"] != first:
                break
            time.sleep(0.001)
        else:
            continue
        while True:
            ticks = json.loads(link.timed(f"/api/v1/ticks/{symbol}?limit=1")[1])["ticks"]
            if ticks and ticks[0]["seq"] >= price["seq"]:
                break
            time.sleep(0.001)
        ages.append(time.time() - seconds_of(price["recv_time"]))
    results.put(("age", "", ages))


def seconds_of(text):
    import datetime
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def processes(engine):
    return {role: pids[0] for role, pids in engine.workers().items()}


def look(pid):
    """CPU seconds, resident bytes and bytes written to the disk of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    io = dict(line.split(": ") for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines())
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    anonymous = int(status.partition("RssAnon:")[2].split()[0]) * 1024
    return (int(fields[11]) + int(fields[12])) / TICK_HZ, anonymous, int(io["write_bytes"])


def folder_bytes(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}


def times(engine):
    """What the server says of how long it takes."""
    text = engine.request("GET", "/metrics", raw=True)[1]
    return {(stage, of): histogram(text, f"http_{stage}_seconds", of) for stage in ("handler", "server") for of in ("average", "history")}


def told(before, after):
    """Prints them; seconds at p99 of each."""
    answer = {}
    for key in before:
        p50, count = histogram_percentile(before[key], after[key], .5)
        answer[key], _ = histogram_percentile(before[key], after[key], .99)
        most, _ = histogram_percentile(before[key], after[key], .999)
        print(f"by the server's own clock, {key[0]}, {key[1]}: {count} answered, p50 {p50 * 1e6:.0f} us, p99 {answer[key] * 1e6:.0f} us, p99.9 {most * 1e6:.0f} us")
    return answer


def watch(engine, minutes):
    """One line a minute; what is counted begins after the first minute, when every asset has its memory."""
    pids = processes(engine)
    rows = []
    began = time.monotonic()
    for minute in range(minutes + 1):
        time.sleep(max(0, began + 60 * minute - time.monotonic()))
        looks = {role: look(pid) for role, pid in pids.items()}
        stored = engine.metrics()["pxengine_stored_ticks_total"]
        rows.append((time.monotonic(), stored, looks))
        print(f"minute {minute:3}  stored {stored / 1e6:8.2f} M  keeper {looks['keeper'][1] / 1e6:7.1f} MB", flush=True)
    assert processes(engine) == pids, "a process was started again"
    return rows


def clients(engine, symbols, until, results):
    asked = [("/api/v1/averages/{}", 50), ("/api/v1/candles/{}?interval=1m&partial=true&limit=1440", 10), ("/api/v1/ticks/{}?limit=500", 5)]
    workers = [multiprocessing.Process(target=ask, args=(engine.port, symbols, path, pace, until, results)) for path, pace in asked]
    workers.append(multiprocessing.Process(target=follow, args=(engine.port, symbols, until, results)))
    for worker in workers:
        worker.start()
    return workers


def report(rows, took, ages, folder):
    (t0, stored0, first), (t1, stored1, last) = rows[1 if len(rows) > 2 else 0], rows[-1]
    ticks, seconds = stored1 - stored0, t1 - t0
    cores = {role: (last[role][0] - first[role][0]) / seconds for role in last}
    written = last["keeper"][2] - first["keeper"][2]
    files = folder_bytes(folder / "data" / "hist")
    tables = sum(size for name, size in files.items() if name.endswith(".sst"))
    print(f"\n{ticks / seconds:.0f} ticks/s stored over {seconds:.0f} s; load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("cores: " + "  ".join(f"{role} {share:.2f}" for role, share in sorted(cores.items())) + f"  all {sum(cores.values()):.2f}")
    print(f"keeper writes {written / ticks:.1f} bytes a tick to the disk; tables hold {tables / stored1:.2f} a tick now, journal included")
    print(f"keeper memory: {first['keeper'][1] / 1e6:.1f} MB at the beginning, {last['keeper'][1] / 1e6:.1f} MB at the end")
    for path, values in took.items():
        print(f"{path}: {len(values)} asked, p50 {percentile(values, .5) * 1e3:.2f} ms, p99 {percentile(values, .99) * 1e3:.2f} ms, most {max(values) * 1e3:.1f} ms")
    print(f"age of the newest tick when history shows it: {len(ages)} looked at, p50 {percentile(ages, .5) * 1e3:.1f} ms, p99 {percentile(ages, .99) * 1e3:.1f} ms, most {max(ages) * 1e3:.1f} ms")
    quarter = [looks["keeper"][1] for _, _, looks in rows[len(rows) * 3 // 4:]]
    return {"ticks_s": round(ticks / seconds), "cores": round(sum(cores.values()), 3), "keeper_cores": round(cores["keeper"], 3),
            "disk_bytes_per_tick": round(written / ticks, 2), "keeper_mb_start": round(first["keeper"][1] / 1e6, 1),
            "keeper_mb_end": round(last["keeper"][1] / 1e6, 1), "keeper_mb_last_quarter_spread": round((max(quarter) - min(quarter)) / 1e6, 1),
            "average_p99_ms": round(percentile(took["/api/v1/averages/{}"], .99) * 1e3, 3),
            "history_p99_ms": round(percentile(next(v for k, v in took.items() if "candles" in k), .99) * 1e3, 3),
            "history_age_p99_ms": round(percentile(ages, .99) * 1e3, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--assets", type=int, default=10000)
    parser.add_argument("--minutes", type=int, default=30)
    options = parser.parse_args()
    if options.quick:
        options.assets, options.minutes = 2000, 1
    market = ["--assets", options.assets, "--seed", 7, "--no-quotes", "--time-unit", "us"]
    listed = subprocess.check_output([str(harness.BIN / "pxvenue"), *map(str, market), "--list"], text=True).splitlines()
    rows = [line.split() for line in listed if len(line.split()) == 6]
    assets = [f"symbol: {row[1]}, decimals: {row[2]}, size_decimals: {row[3]}, tick: \"{row[4]}\", sources: {{v: {row[0]}}}" for row in rows]
    extra = f"limits: {{requests_per_second: 1000000, subscriptions_per_connection: {len(rows)}}}\n"
    with harness.Venue(*market, "--settle", 500) as venue, \
            harness.Engine([f"name: v, dialect: binance, url: \"{venue.url}\", clock: venue, stale_after: 10s"], assets, extra=extra) as engine:
        harness.wait_for("prices flow", lambda: engine.metrics()["pxengine_stored_ticks_total"] > len(rows), 60, 0.2)
        results = multiprocessing.Queue()
        workers = clients(engine, [row[1] for row in rows], time.monotonic() + 60 * options.minutes, results)
        before = times(engine)
        seen = watch(engine, options.minutes)
        server = told(before, times(engine))
        answers = [results.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join()
        took = {path: values for kind, path, values in answers if kind == "took"}
        ages = next(values for kind, _, values in answers if kind == "age")
        figures = report(seen, took, ages, engine.folder)
        figures |= {"current_average_p99_us_server": round(server["server", "average"] * 1e6, 1),
                    "history_p99_ms_server": round(server["server", "history"] * 1e3, 3),
                    "current_average_p99_us_handler": round(server["handler", "average"] * 1e6, 1),
                    "history_p99_ms_handler": round(server["handler", "history"] * 1e3, 3)}
        lost = engine.metrics()["pxengine_keeper_overrun_ticks_total"]
    assert lost == 0, f"{lost} ticks were not stored"
    print(json.dumps({"bench": "history_load", "assets": len(rows), "minutes": options.minutes, **figures}))
    return 0 if figures["history_p99_ms"] < 100 and figures["history_age_p99_ms"] < 200 else 1


if __name__ == "__main__":
    sys.exit(main())
