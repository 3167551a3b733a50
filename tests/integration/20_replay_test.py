#!/usr/bin/python3
"""Recorded markets through the whole engine: every trade arrives, comes back exactly, and the candles add up.

The recording of Binance of 2024-08-08 is played as fast as it goes; what the engine stores is held against a plain reading of the
same files.
"""
import collections
import decimal
import gzip
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

SPOT = harness.RECORDINGS / "hftbacktest-binance" / "spot"
EXPECTED = {"BTC-USDT": (9757, "61685.99"), "ETH-USDT": (6106, "2682.51")}
MINUTE = 60_000


def read_trades(name):
    trades = []
    with gzip.open(SPOT / f"{name}_20240808.gz", "rt") as lines:
        for line in lines:
            frame = json.loads(line.split(" ", 1)[1])
            if frame.get("stream", "").endswith("@trade"):
                trades.append(frame["data"])
    return trades


def plain(text):
    return decimal.Decimal(text).normalize()


def candles_of(trades):
    """The slow and obvious sum."""
    candles = collections.OrderedDict()
    for trade in trades:
        candle = candles.setdefault(trade["T"] // MINUTE * MINUTE, [])
        candle.append(trade)
    return {start: {"o": plain(rows[0]["p"]), "h": max(plain(row["p"]) for row in rows),
                    "l": min(plain(row["p"]) for row in rows), "c": plain(rows[-1]["p"]),
                    "v": sum(decimal.Decimal(row["q"]) for row in rows), "n": len(rows)}
            for start, rows in candles.items()}


def milliseconds(text):
    import datetime
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp() * 1000)


def epoch_ms(value):
    return milliseconds(value) if isinstance(value, str) else int(value)


def check_ticks(engine, symbol, trades):
    ticks = engine.pages(f"/api/v1/ticks/{symbol}?start={trades[0]['T'] - 1000}&limit=5000", "ticks")
    assert len(ticks) == len(trades), f"{symbol}: {len(ticks)} ticks stored, {len(trades)} in the file"
    for tick, trade in zip(ticks, trades):
        got = (plain(tick["price"]), plain(tick["size"]), epoch_ms(tick["time"]), int(tick["trade_id"]))
        want = (plain(trade["p"]), plain(trade["q"]), trade["T"], trade["t"])
        assert got == want, f"{symbol}: stored {got}, the file says {want}"


def check_candles(engine, symbol, trades):
    want = candles_of(trades)
    body = engine.get(f"/api/v1/candles/{symbol}?interval=1m&start={trades[0]['T'] - MINUTE}&limit=1000&partial=true")
    starts = [epoch_ms(t) for t in body["t"]]
    assert starts == sorted(want), f"{symbol}: candles at {starts}, not {sorted(want)}"
    for i, start in enumerate(starts):
        got = {key: plain(body[key][i]) for key in "ohlc"} | {"v": decimal.Decimal(body["v"][i]), "n": body["n"][i]}
        assert got == want[start], f"{symbol} {start}: candle {got}, brute force {want[start]}"


def main():
    if not SPOT.is_dir():
        harness.skip(f"no recording in {SPOT}; set PX_RECORDINGS")
    files = [SPOT / "btcusdt_20240808.gz", SPOT / "ethusdt_20240808.gz"]
    assets = ["symbol: BTC-USDT, decimals: 2, size_decimals: 8, sources: {binance: BTCUSDT}",
              "symbol: ETH-USDT, decimals: 2, size_decimals: 8, sources: {binance: ETHUSDT}"]
    with harness.Venue("--replay", *files, "--speed", "max") as venue:
        with harness.Engine([f"name: binance, dialect: binance, url: \"{venue.url}\""], assets) as engine:
            total = sum(count for count, _ in EXPECTED.values())
            harness.wait_for("all trades are stored",
                             lambda: engine.metrics()["pxengine_stored_ticks_total"] >= total, 60, 0.2)
            for symbol, (count, last) in EXPECTED.items():
                trades = read_trades(symbol.replace("-", "").lower())
                assert len(trades) == count and plain(trades[-1]["p"]) == plain(last)
                price = engine.get(f"/api/v1/prices/{symbol}")
                assert plain(price["price"]) == plain(last), price
                check_ticks(engine, symbol, trades)
                check_candles(engine, symbol, trades)
                print(f"ok {symbol}: {count} trades, last {last}, ticks and candles equal the file")
            metrics = engine.metrics()
            for name in ("evaluator_overrun_ticks_total", "keeper_overrun_ticks_total", "ticks_bad_total",
                         "ticks_duplicate_total", "feed_format_errors_total"):
                assert metrics[f"pxengine_{name}"] == 0, f"{name} is {metrics['pxengine_' + name]}"
            assert metrics["pxengine_trades_total"] == total


if __name__ == "__main__":
    main()
