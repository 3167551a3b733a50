#!/usr/bin/python3
"""After a restart the live day and the open minute go on from the disk: ticker and ohlc equal the candles of REST.

Once after an orderly stop and once after kill -9 of everything, with a few trades after each restart.
"""
import pathlib
import signal
import sys
import tempfile
import time
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

SYMBOLS = ["A00001-USD", "A00002-USD"]
ASSETS = [f"symbol: {name}, decimals: 8, size_decimals: 8, sources: {{venue: {name.replace('-', '')}}}" for name in SYMBOLS]


def newest(engine, symbol, interval):
    body = engine.get(f"/api/v1/candles/{symbol}?interval={interval}&limit=1000&partial=true")
    return {key: Decimal(body[key][-1]) for key in "ohlcv"}


def latest(listener, channel, symbol):
    items = [item for item in listener.data(channel) if item["symbol"] == symbol]
    return items[-1] if items else {}


def same(item, candle, names):
    return all(name in item and item[name] is not None and Decimal(item[name]) == candle[key] for name, key in names.items())


def compare(engine, what):
    says = [{"method": "subscribe", "params": {"channel": "ticker", "symbol": SYMBOLS, "snapshot": True}, "req_id": 1},
            {"method": "subscribe", "params": {"channel": "ohlc", "symbol": SYMBOLS, "interval": 1, "snapshot": True}, "req_id": 2}]
    listener = harness.Listener(engine, says)
    day_names = {"open": "o", "high": "h", "low": "l", "volume": "v"}
    minute_names = day_names | {"close": "c"}
    try:
        for symbol in SYMBOLS:
            for channel, interval, names in (("ticker", "1d", day_names), ("ohlc", "1m", minute_names)):
                try:
                    harness.wait_for("equality", lambda: same(latest(listener, channel, symbol), newest(engine, symbol, interval),
                                                              names), 8, 0.3)
                except AssertionError:
                    raise AssertionError(f"{what}: {channel} {latest(listener, channel, symbol)}, "
                                         f"REST {interval} {newest(engine, symbol, interval)}")
    finally:
        listener.close()
    print(f"ok {what}")


def session(folder, seed, ticks, what, sig):
    """Some trades, then silence, then the comparison, then the end."""
    with harness.Venue("--assets", 2, "--rate", 20, "--seed", seed, "--ticks", ticks, "--no-quotes") as venue:
        with harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\""], ASSETS, folder=folder) as engine:
            harness.wait_for("all trades are stored", lambda: engine.metrics()["pxengine_stored_ticks_total"] >= ticks, 30, 0.1)
            compare(engine, what)
            total = sum(newest(engine, symbol, "1d")["v"] for symbol in SYMBOLS)
            engine.stop(sig)
            return total


def main():
    if time.time() % 86400 > 86400 - 60:
        time.sleep(65) # the day would change in the middle
    if time.time() % 60 > 35:
        time.sleep(60 - time.time() % 60) # the open minute too
    with tempfile.TemporaryDirectory(prefix="px-test-") as folder:
        first = session(folder, 1, 200, "before", signal.SIGTERM)
        second = session(folder, 2, 30, "after an orderly restart", signal.SIGKILL)
        third = session(folder, 3, 20, "after kill -9", signal.SIGTERM)
        assert first < second < third, (first, second, third)


if __name__ == "__main__":
    main()
