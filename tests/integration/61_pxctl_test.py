#!/usr/bin/python3
"""pxctl against an engine: what it shows, history out and in again, what it says when something is wrong.

A feed gives some trades; a file brings what was before, and what is exported from one asset is imported into another.
"""
import csv
import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

spec = importlib.util.spec_from_file_location("history", pathlib.Path(__file__).with_name("60_history_test.py"))
history = importlib.util.module_from_spec(spec)
spec.loader.exec_module(history)

S = 10**9
ASSETS = ["symbol: BTC-USD, decimals: 2, size_decimals: 4, max_jump: 20%, sources: {feed: BTCUSD}",
          "symbol: COPY-USD, decimals: 2, size_decimals: 4, sources: {feed: COPYUSD}",
          "symbol: DAYS-USD, decimals: 2, size_decimals: 4, sources: {feed: DAYSUSD}"]


class Ctl:
    def __init__(self, engine):
        self.environment = {**os.environ, "PXCTL_URL": f"http://127.0.0.1:{engine.port}", "PXCTL_KEY": engine.admin}

    def run(self, *words, code=0, key=None):
        environment = {**self.environment, "PXCTL_KEY": key} if key is not None else self.environment
        done = subprocess.run([harness.BIN / "pxctl", *map(str, words)], capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == code, (words, done.returncode, done.stdout[-500:], done.stderr[-500:])
        return done.stdout if code == 0 else done.stderr

    def json(self, *words):
        return json.loads(self.run("-o", "json", *words))


def write_ticks(path, trades):
    with open(path, "w") as file:
        file.write("time,price,size,trade_id\n")
        for i, (time_ns, _, price, size) in enumerate(trades):
            file.write(f"{history.instant(time_ns)},{history.decimal(price, 2)},{history.decimal(size, 4)},{i + 1}\n")


def check_looks(ctl, model):
    price = ctl.json("price", "BTC-USD")["prices"][0]["price"]
    assert price in ctl.run("price", "BTC-USD", "COPY-USD") and "STALE" in ctl.run("price", "COPY-USD")
    assert ctl.json("status")["state"] == "ready" and "keeper" in ctl.run("status")
    assert json.loads(ctl.run("-o", "json", "watch", "BTC-USD", "--count", 1, "--every", 20))["price"] == price
    rows = list(csv.DictReader(ctl.run("-o", "csv", "candles", "BTC-USD", "--interval", "1h", "--partial", "--start", 0).splitlines()))
    assert [row["c"] for row in rows] == [row["c"] for row in history.expected(model, 3600)]
    text = ctl.run("candles", "BTC-USD", "--limit", 3, "--partial")
    assert len(text.splitlines()) == 4 and len({len(line) for line in text.splitlines()}) == 1, text
    assert ctl.json("ticks", "BTC-USD", "--limit", 1)["ticks"][0]["price"] == price
    assert ctl.json("watch", "BTC-USD", "--count", 1)["last"] == price
    assert "assets" in ctl.run("watch", "NO-SUCH", code=1)
    feeds = ctl.json("feed")
    assert [feed["name"] for feed in feeds] == ["feed"] and feeds[0]["state"] == "live", feeds
    top = ctl.json("top", "--count", 1, "--every", 200)
    assert top["ticks_per_s"] >= 0 and "keeper 0" in top["cores"] and "cores:" in ctl.run("top", "--count", 1, "--every", 100)
    print("ok price, watch, candles, ticks, status, feed, top")


def check_watch(ctl, feed, model, dice):
    """A move is pushed: it is told without being asked for."""
    watcher = subprocess.Popen([harness.BIN / "pxctl", "-o", "json", "watch", "BTC-USD", "--count", "2"], stdout=subprocess.PIPE, text=True,
                               env=ctl.environment)
    first = json.loads(watcher.stdout.readline())
    history.play(feed, model, dice, 1, model.clock + S)
    second = json.loads(watcher.stdout.readline())
    assert watcher.wait(20) == 0 and second["sseq"] > first["sseq"], (first, second)
    watcher.stdout.close()
    print("ok watch is told")


def check_alerts(engine, ctl):
    made = ctl.json("alert", "create", "BTC-USD", "crossing_up", "999999", "--name", "far", "--frequency", "every_time", "--tag", "t", "--source", "bid")
    assert made["condition"] == {"op": "crossing_up", "source": "bid", "level": "999999"} and made["tags"] == ["t"], made
    channel = ctl.json("alert", "add", "BTC-USD", "exiting_channel", "1", "2")
    assert (channel["condition"]["lower"], channel["condition"]["upper"]) == ("1", "2")
    move = ctl.json("alert", "create", "BTC-USD", "moving_down_pct", "50", "15m")
    assert (move["condition"]["amount"], move["condition"]["window"]) == ("50", "15m")
    listed = {alert["id"] for alert in ctl.json("alert", "list", "BTC-USD")["alerts"]}
    assert listed == {made["id"], channel["id"], move["id"]}
    assert [a["id"] for a in ctl.json("alert", "ls", "--tag", "t")["alerts"]] == [made["id"]]
    text = ctl.run("alert", "show", made["id"])
    assert "crossing_up 999999" in text and "armed" in text and "far" in text, text
    assert ctl.json("alert", "pause", made["id"])["state"] == "paused"
    assert "paused" in ctl.run("alert", "list", "--state", "paused")
    assert ctl.json("alert", "resume", made["id"])["state"] == "armed"
    assert "no channels" in ctl.run("alert", "test", made["id"], code=1)
    ctl.run("alert", "cancel", channel["id"])
    ctl.run("alert", "rm", move["id"])
    assert "alert list" in ctl.run("alert", "show", move["id"], code=1)
    assert [a["id"] for a in ctl.json("alert", "list")["alerts"]] == [made["id"]]
    assert "/condition/level" in ctl.run("alert", "create", "BTC-USD", "crossing_up", "x", code=1)
    assert "LOWER UPPER" in ctl.run("alert", "create", "BTC-USD", "inside_channel", "1", code=2)
    assert "none of" in ctl.run("alert", "explode", "x", code=2)
    ctl.run("alert", "rm", made["id"])
    assert ctl.json("dlq", "list")["deliveries"] == [] and ctl.json("dlq", "replay")["replayed"] == 0
    assert "0 sent again" in ctl.run("dlq", "replay")
    ctl.run("dlq", "replay", "123", code=1)
    ctl.run("config", "check", engine.config)
    bad = engine.folder / "bad.yaml"
    bad.write_text("nonsense: 1\n")
    assert "nonsense" in ctl.run("config", "check", bad, code=1)
    print("ok alerts, dlq, config")


def check_import(engine, ctl, folder, live, past):
    """What was before the feed, from a file; twice; broken off in the middle and repeated."""
    whole, half = folder / "ticks.csv", folder / "half.csv"
    write_ticks(whole, past.trades)
    write_ticks(half, past.trades[:len(past.trades) // 2])
    first = ctl.json("import", "ticks", half, "--symbol", "BTC-USD")
    assert first["taken"] == len(past.trades) // 2 and not first["skipped"]["present"], first
    minute = past.trades[len(past.trades) // 2 - 1][0] // (60 * S)
    shared = sum(1 for trade in past.trades[len(past.trades) // 2:] if trade[0] // (60 * S) == minute)
    second = ctl.json("import", "ticks", whole, "--symbol", "BTC-USD")
    assert second["taken"] == len(past.trades) - len(past.trades) // 2 - shared, second
    third = ctl.json("import", "ticks", whole, "--symbol", "BTC-USD")
    assert third["taken"] == 0 and third["skipped"]["present"] == third["rows"] == len(past.trades), third
    assert "there already" in ctl.run("import", "ticks", whole, "--symbol", "BTC-USD")
    both = history.Model()
    lost = set(range(len(past.trades) // 2, len(past.trades) // 2 + shared))
    both.trades = [t for i, t in enumerate(past.trades) if i not in lost] + live.trades
    history.check_candles(engine, both, "imported before the feed's")
    engine.kill("keeper")
    harness.wait_for("a keeper", lambda: engine.request("GET", "/api/v1/ticks/BTC-USD?limit=1")[0] == 200, 20)
    history.check_candles(engine, both, "and after kill -9 of the keeper")
    now = [[history.instant(time.time_ns()), "1.00", "1.0000", "1"]]
    with open(folder / "new.csv", "w") as file:
        csv.writer(file).writerows([["time", "price", "size", "trade_id"]] + now)
    assert ctl.json("import", "ticks", folder / "new.csv", "--symbol", "BTC-USD")["skipped"]["too_new"] == 1
    return both


def check_copy(engine, ctl, folder, both):
    """Out of one asset, into another: the same candles of all intervals."""
    ticks, candles = folder / "out.csv", folder / "candles.csv"
    ctl.run("export", "ticks", "BTC-USD", "--file", ticks)
    rows = list(csv.DictReader(open(ticks)))
    late = sum(row["late"] == "true" for row in rows)
    assert len(rows) - late == len(both.trades), (len(rows), late, len(both.trades))
    took = ctl.json("import", "ticks", ticks, "--symbol", "COPY-USD")
    assert took["taken"] == len(rows) - late and took["skipped"]["unwanted"] == late, took
    for interval in ("1s", "1m", "15m", "1h", "1d"):
        path = f"/api/v1/candles/{{}}?interval={interval}&start=0&limit=5000&partial=true"
        a, b = (history.table(engine, path.format(symbol)) for symbol in ("BTC-USD", "COPY-USD"))
        drop = {"final", "twap"}
        assert [{k: v for k, v in row.items() if k not in drop} for row in a] == \
            [{k: v for k, v in row.items() if k not in drop} for row in b], interval
        assert [row["twap"] for row in a[:-1]] == [row["twap"] for row in b[:-1]], interval
    ctl.run("export", "candles", "BTC-USD", "--interval", "1d", "--file", candles)
    days = list(csv.DictReader(open(candles)))
    assert len(days) >= 2, days
    took = ctl.json("import", "candles", candles, "--symbol", "DAYS-USD", "--interval", "1d")
    assert took["taken"] == len(days), took
    again = ctl.json("import", "candles", candles, "--symbol", "DAYS-USD", "--interval", "1d")
    assert again["taken"] == 0 and again["skipped"]["present"] == len(days), again
    got = history.table(engine, "/api/v1/candles/DAYS-USD?interval=1d&start=0")
    assert [(r["t"], r["o"], r["h"], r["l"], r["c"], r["v"]) for r in got] == \
        [(r["t"], r["o"], r["h"], r["l"], r["c"], r["v"]) for r in days]
    averages = ctl.run("export", "averages", "BTC-USD", "--interval", "1h")
    assert averages.startswith("t,twap,vwap,coverage,final\n")
    print("ok export and import again")


def check_refusals(engine, ctl, folder):
    bad = folder / "bad.csv"
    bad.write_text("time,price,size\n2024-01-01T00:00:00Z,1.00,1\n2024-01-01T00:00:01Z,1.005,1\n\n2024-01-01T00:00:00Z,-1,x\n")
    said = ctl.run("import", "ticks", bad, "--symbol", "BTC-USD", code=1)
    assert f"{bad}:3: price must be a decimal" in said and f"{bad}:5: price" in said, said
    bad.write_text("when,price\n1,2\n")
    assert f"{bad}:1: must name the columns" in ctl.run("import", "ticks", bad, "--symbol", "BTC-USD", code=1)
    bad.write_text("t,o,h,l,c,v\n2024-01-01T00:00:30Z,1,1,1,1,1\n")
    assert f"{bad}:2: t is not the start" in ctl.run("import", "candles", bad, "--symbol", "BTC-USD", code=1)
    bad.write_text("time,price,size\n2024-01-01T00:00:02Z,1,1\n2024-01-01T00:00:01Z,1,1\n")
    assert f"{bad}:3: time is before the line above" in ctl.run("import", "ticks", bad, "--symbol", "BTC-USD", code=1)
    assert "scopes admin" in ctl.run("import", "ticks", bad, "--symbol", "BTC-USD", code=1, key=engine.key)
    assert "--key" in ctl.run("import", "ticks", bad, "--symbol", "BTC-USD", code=1, key="")
    assert "api/v1/assets" in ctl.run("candles", "NO-SUCH", code=1)
    assert "cannot be read" in ctl.run("import", "ticks", folder / "none.csv", "--symbol", "BTC-USD", code=1)
    assert "--help" in ctl.run("nonsense", code=2) and "pxctl import" in ctl.run("import", "ticks", code=2)
    assert "Is the engine running" in ctl.run("--url", "http://127.0.0.1:1", "status", code=1)
    for command in ("price", "watch", "candles", "ticks", "status", "export", "import", "alert", "dlq", "feed", "top", "config"):
        assert f"pxctl {command}" in ctl.run(command, "--help")
    print("ok refusals")


def main():
    dice, feed, live, past = random.Random(5), history.Feed(), history.Model(), history.Model()
    midnight = int(time.time()) // 86400 * 86400 * S - 86400 * S
    with harness.Engine([f"name: feed, dialect: binance, url: \"ws://127.0.0.1:{feed.port}\""], ASSETS,
                        extra="limits: {requests_per_second: 100000}\n") as engine:
        folder = engine.folder
        engine.admin = subprocess.check_output([harness.BIN / "pxengine", "key", "add", "--data", folder / "data", "--scopes",
                                                "prices:read,alerts:write,admin"], text=True).strip()
        harness.wait_for("the key is known", lambda: engine.request("GET", "/api/v1/time", key=engine.admin)[0] == 200, 20)
        ctl = Ctl(engine)
        harness.wait_for("the feed", lambda: feed.clients, 20)
        history.play(feed, live, dice, 300, midnight)
        history.settle(engine, live)
        time_ns = midnight - 30 * 3600 * S
        for i in range(30000):
            time_ns += dice.randrange(5000) * 10**6
            past.add(time_ns, 5000000 + dice.randrange(20000), dice.randrange(1, 9999))
            if time_ns > midnight - 20 * 60 * S:
                break
        check_looks(ctl, live)
        check_watch(ctl, feed, live, dice)
        check_alerts(engine, ctl)
        both = check_import(engine, ctl, folder, live, past)
        check_copy(engine, ctl, folder, both)
        check_refusals(engine, ctl, folder)
        assert engine.metrics()["pxengine_imported_rows_total"] >= len(past.trades)


if __name__ == "__main__":
    main()
