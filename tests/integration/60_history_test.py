#!/usr/bin/python3
"""History over REST against a model of some lines: every candle, average and tick of a feed that the test itself is.

Its clock goes back now and then, by less and by more than what counts; there are trades of the same time, gaps, silences, outliers,
and a day's border. A keeper is killed in the middle.

Usage: 60_history_test.py [--seed N] [--trades N]
"""
import argparse
import asyncio
import bisect
import csv
import io
import json
import pathlib
import random
import sys
import threading
import time
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

S = 10**9
MINUTE, CARRY, LATE = 60 * S, 300 * S, 2 * S
INTERVALS = {"1s": 1, "5s": 5, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "2h": 7200, "4h": 14400,
             "6h": 21600, "8h": 28800, "12h": 43200, "1d": 86400, "1w": 604800}
ASSET = "symbol: BTC-USD, decimals: 2, size_decimals: 4, max_jump: 20%, sources: {feed: BTCUSD}"


class Feed(threading.Thread):
    """A venue that says what it is told to say."""

    def __init__(self):
        super().__init__(daemon=True)
        self.loop, self.clients, self.port, self.number = asyncio.new_event_loop(), set(), None, 0
        self.started = threading.Event()
        self.start()
        self.started.wait(10)

    def run(self):
        self.loop.run_until_complete(self.serve())

    async def serve(self):
        import websockets

        async def client(link, *unused):
            self.clients.add(link)
            try:
                await link.wait_closed()
            finally:
                self.clients.discard(link)

        async with websockets.serve(client, "127.0.0.1", 0, compression=None) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.started.set()
            await asyncio.Future()

    def trade(self, time_ns, price, size):
        self.number += 1
        ms = time_ns // 10**6
        text = json.dumps({"stream": "btcusd@trade", "data": {
            "e": "trade", "E": ms, "s": "BTCUSD", "t": self.number, "p": f"{price // 100}.{price % 100:02d}",
            "q": f"{size // 10000}.{size % 10000:04d}", "T": ms, "m": bool(self.number % 2)}})
        asyncio.run_coroutine_threadsafe(self.send(text), self.loop).result(10)

    async def send(self, text):
        for link in list(self.clients):
            await link.send(text)


class Model:
    """All trades that count, in order of time and arrival, and what follows from them."""

    def __init__(self):
        self.trades, self.all, self.late, self.quarantined, self.clock = [], [], 0, 0, None

    def add(self, time_ns, price, size):
        self.all.append((time_ns, price, size, False))
        if self.clock is not None and time_ns < self.clock - LATE:
            self.late += 1
            return
        self.clock = time_ns if self.clock is None else max(self.clock, time_ns)
        bisect.insort(self.trades, (time_ns, len(self.all), price, size))

    def outlier(self, time_ns, price, size):
        self.all.append((time_ns, price, size, True))
        self.quarantined += 1

    def candles(self, seconds):
        width, shift = seconds * S, 4 * 86400 * S if seconds == 604800 else 0
        rows = {}
        for time_ns, _, price, size in self.trades:
            start = time_ns - (time_ns - shift) % width
            row = rows.setdefault(start, {"o": price, "h": price, "l": price, "v": 0, "n": 0, "value": 0, "area": 0, "known": 0})
            row["h"], row["l"], row["c"] = max(row["h"], price), min(row["l"], price), price
            row["v"] += size
            row["n"] += 1
            row["value"] += price * size
        for i, (begin, _, price, _) in enumerate(self.trades):
            end = min(self.trades[i + 1][0] if i + 1 < len(self.trades) else begin + CARRY, begin + CARRY)
            start = begin - (begin - shift) % width
            while start < end:
                known = min(end, start + width) - max(begin, start)
                if start in rows and known > 0:
                    rows[start]["area"] += price * known
                    rows[start]["known"] += known
                start += width
        return rows


def decimal(value, scale):
    sign, value = ("-" if value < 0 else ""), abs(value)
    return f"{sign}{value // 10**scale}.{value % 10**scale:0{scale}d}"


def instant(ns):
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // S))
    return f"{whole}.{ns % S // 1000:06d}Z"


def expected(model, seconds):
    rows = []
    for start, row in sorted(model.candles(seconds).items()):
        rows.append({"t": instant(start), "o": decimal(row["o"], 2), "h": decimal(row["h"], 2), "l": decimal(row["l"], 2),
                     "c": decimal(row["c"], 2), "v": decimal(row["v"], 4), "n": row["n"],
                     "twap": decimal(round(Fraction(row["area"] * 100, row["known"])), 4) if row["known"] else None,
                     "vwap": decimal(round(Fraction(row["value"] * 100, row["v"])), 4) if row["v"] else None})
    return rows


def table(engine, path):
    """Rows of all pages."""
    rows, cursor = [], ""
    while True:
        url = path + (f"&cursor={cursor}" if cursor else "")
        status, body, headers = engine.request("GET", url)
        assert status == 200, (url, status, body)
        columns = [name for name, value in body.items() if isinstance(value, list)]
        rows += [dict(zip(columns, values)) for values in zip(*(body[name] for name in columns))]
        cursor = body["next_cursor"]
        assert bool(cursor) == ('rel="next"' in headers.get("Link", "")), headers
        if not cursor:
            return rows


# ---- the steps ----

def play(feed, model, dice, count, clock, step=9000):
    """Random trades from the clock on; returns where it ends."""
    price = 6000000
    for _ in range(count):
        kind = dice.randrange(100)
        clock += dice.randrange(step) * 10**6 if kind < 97 else dice.randrange(1200) * S
        time_ns = clock - (dice.randrange(2000) * 10**6 if kind < 12 else dice.randrange(90) * S if kind < 15 else 0)
        if kind == 20:
            feed.trade(clock, price * 2, 7)
            model.outlier(clock, price * 2, 7)
        price += dice.randrange(-3000, 3001)
        size = dice.randrange(1, 50000)
        feed.trade(time_ns, price, size)
        model.add(time_ns, price, size)
    return clock


def settle(engine, model):
    harness.wait_for("all trades are stored",
                     lambda: engine.metrics()["pxengine_stored_ticks_total"] >= len(model.all), 40, 0.05)


def check_candles(engine, model, what):
    for name, seconds in INTERVALS.items():
        want, got = expected(model, seconds), table(engine, f"/api/v1/candles/BTC-USD?interval={name}&partial=true&start=0&limit=777")
        assert [row["t"] for row in got] == [row["t"] for row in want], (what, name, len(got), len(want))
        for a, b in zip(got, want):
            assert {key: a[key] for key in b} == b, (what, name, a, b)
        back = []
        cursor = ""
        while True:
            body = engine.get(f"/api/v1/candles/BTC-USD?interval={name}&partial=true&order=desc&limit=333" + cursor)
            back += body["t"]
            if not body["next_cursor"]:
                break
            cursor = f"&cursor={body['next_cursor']}"
        assert back == [row["t"] for row in reversed(want)], (what, name, "descending")
    averages = table(engine, "/api/v1/averages/BTC-USD?interval=5m&start=0&limit=100")
    finals = [row for row in table(engine, "/api/v1/candles/BTC-USD?interval=5m&start=0") if row["final"]]
    assert [(row["t"], row["twap"], row["vwap"]) for row in averages] == [(row["t"], row["twap"], row["vwap"]) for row in finals]
    print(f"ok {what}: {len(model.trades)} trades in {len(INTERVALS)} intervals")


def ticks(engine, more=""):
    rows, cursor = [], ""
    while True:
        body = engine.get(f"/api/v1/ticks/BTC-USD?start=0&limit=999{more}{cursor}")
        rows += body["ticks"]
        if not body["next_cursor"]:
            return rows
        cursor = f"&cursor={body['next_cursor']}"


def check_ticks(engine, model, what):
    got = ticks(engine, "&include=quarantined")
    # In one instant what was quarantined comes last: it has no number among the accepted ones.
    want = sorted((instant(t), q, i, decimal(p, 2), decimal(s, 4)) for i, (t, p, s, q) in enumerate(model.all))
    assert [(t["time"], t["price"], t["size"], t["quarantined"]) for t in got] == [(t, p, s, q) for t, q, _, p, s in want], what
    assert len({t["trade_id"] for t in got}) == len(model.all), what
    assert sum(t["late"] for t in got) == model.late, what
    assert not [t for t in ticks(engine) if t["quarantined"]] and len(ticks(engine)) == len(model.all) - model.quarantined
    print(f"ok {what}: {len(got)} ticks, {model.quarantined} of them quarantined, {model.late} late")


def check_fresh(engine, feed, model, clock):
    """A trade is in the candles and among the ticks with the answer after the one that tells its price."""
    waits = []
    for i in range(150):
        clock += 400 * 10**6
        price, size = 5000000 + i, 100
        feed.trade(clock, price, size)
        model.add(clock, price, size)
        sent = time.monotonic()
        harness.wait_for("the price", lambda: engine.get("/api/v1/prices/BTC-USD")["price"] == decimal(price, 2), 10, 0.0005)
        told = time.monotonic()
        newest = engine.get("/api/v1/ticks/BTC-USD?limit=1")["ticks"][0]
        assert newest["price"] == decimal(price, 2), (i, newest, price)
        harness.wait_for("the candle", lambda: engine.get("/api/v1/candles/BTC-USD?interval=1h&partial=true&limit=1")["c"][-1] ==
                         decimal(price, 2), 10, 0.0005)
        waits.append((time.monotonic() - told) * 1000)
        assert told - sent < 10
    waits.sort()
    print(f"ok read after write: ticks at once, candles ms p50={waits[75]:.1f} p99={waits[148]:.1f}")
    assert waits[148] < 200, waits[-5:]
    return clock


def check_http(engine):
    path = "/api/v1/candles/BTC-USD?interval=1m&start=0&limit=100"
    _, body, headers = engine.request("GET", path)
    assert "immutable" in headers["Cache-Control"] and headers["Vary"].startswith("Accept"), headers.items()
    tag = headers["ETag"]
    status, text, again = engine.request("GET", path, headers={"If-None-Match": tag}, raw=True)
    assert (status, text) == (304, "") and "immutable" in again["Cache-Control"], (status, text)
    _, _, other = engine.request("GET", path.replace("100", "99"))
    assert other["ETag"] != tag
    _, _, open_one = engine.request("GET", "/api/v1/candles/BTC-USD?interval=1h&partial=true")
    assert open_one["Cache-Control"] == "public, max-age=1"
    _, text, head = engine.request("GET", path, headers={"Accept": "text/csv"}, raw=True)
    assert head["Content-Type"].startswith("text/csv") and head["ETag"] != tag and 'rel="next"' in head["Link"], head.items()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 100 and rows[0]["t"] == body["t"][0] and [row["c"] for row in rows] == body["c"]
    assert [row["twap"] or None for row in rows] == body["twap"] and rows[0]["final"] == "true"
    for path, columns in (("ticks/BTC-USD?start=0&limit=100", "time,recv_time,price,size,venue,seq,trade_id,quarantined,late"),
                          ("averages/BTC-USD?interval=1m&start=0&limit=100", "t,twap,vwap,coverage,final")):
        text = engine.request("GET", "/api/v1/" + path, headers={"Accept": "text/csv"}, raw=True)[1]
        assert text.splitlines()[0] == columns and len(text.splitlines()) == 101, text[:200]
        tag = engine.request("GET", "/api/v1/" + path)[2]["ETag"]
        assert engine.request("GET", "/api/v1/" + path, headers={"If-None-Match": tag}, raw=True)[0] == 304
    print("ok validators, CSV")


def check_filled(engine, model, fill):
    """No row twice, none missing up to the last; what has trades is never told as filled, ready or not."""
    first = model.trades[0][0] // MINUTE * MINUTE
    known = {row["t"]: row for row in expected(model, 60)}
    rows = table(engine, f"/api/v1/candles/BTC-USD?interval=1m&start={instant(first)}&fill={fill}&limit=500")
    assert [row["t"] for row in rows] == [instant(first + i * MINUTE) for i in range(len(rows))], fill
    close = None
    for row in rows:
        assert row["final"] and row["filled"] == (row["t"] not in known), row
        if not row["filled"]:
            close = known[row["t"]]["c"]
            assert row["c"] == close, (row, known[row["t"]])
        else:
            assert row["o"] == row["c"] == (close if fill == "previous" else None), (row, close)
            assert row["n"] == 0, row
    return rows


def check_fills(engine, feed, model, clock):
    """Gaps as asked, previous repeats the close and null says nothing: while minutes close, and when all have."""
    for i in range(20):
        clock += (20 + i % 3 * 60) * S
        price = 5100000 + i
        feed.trade(clock, price, 100)
        model.add(clock, price, 100)
        harness.wait_for("the price", lambda: engine.get("/api/v1/prices/BTC-USD")["price"] == decimal(price, 2), 10, 0.005)
        check_filled(engine, model, "null" if i % 2 else "previous")
    settle(engine, model)
    count = (clock - LATE) // MINUTE - model.trades[0][0] // MINUTE
    for fill in ("previous", "null"):
        harness.wait_for("all that is final", lambda: len(check_filled(engine, model, fill)) == count, 20)
    print(f"ok fills: {sum(row['filled'] for row in check_filled(engine, model, 'null'))} of {count}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=11)
    options.add_argument("--trades", type=int, default=1500)
    options = options.parse_args()
    dice, model, feed = random.Random(options.seed), Model(), Feed()
    midnight = int(time.time()) // 86400 * 86400 * S - 86400 * S
    venue = f"name: feed, dialect: binance, url: \"ws://127.0.0.1:{feed.port}\""
    with harness.Engine([venue], [ASSET], extra="limits: {requests_per_second: 100000}\n") as engine:
        harness.wait_for("the feed", lambda: feed.clients, 20)
        clock = play(feed, model, dice, options.trades, midnight - 2 * 3600 * S)
        settle(engine, model)
        assert engine.metrics()["pxengine_ticks_quarantined_total"] == model.quarantined > 0
        assert engine.metrics()["pxengine_late_ticks_total"] == model.late > 0
        check_candles(engine, model, "first part")
        check_ticks(engine, model, "first part")
        before = table(engine, "/api/v1/candles/BTC-USD?interval=1m&start=0")
        engine.kill("keeper")
        clock = play(feed, model, dice, options.trades // 3, clock)
        settle(engine, model)
        check_candles(engine, model, "after kill -9 of the keeper")
        check_ticks(engine, model, "after kill -9 of the keeper")
        after = table(engine, "/api/v1/candles/BTC-USD?interval=1m&start=0")
        assert after[:len(before)] == before, "a final candle has changed"
        engine.kill("evaluator")
        clock = play(feed, model, dice, 200, clock, 300)
        settle(engine, model)
        check_candles(engine, model, "after kill -9 of the evaluator")
        clock = check_fresh(engine, feed, model, clock)
        settle(engine, model)
        check_candles(engine, model, "in the end")
        check_ticks(engine, model, "in the end")
        check_http(engine)
        check_fills(engine, feed, model, clock)
        settle(engine, model)
        assert engine.metrics()["pxengine_late_ticks_total"] == model.late


if __name__ == "__main__":
    main()
