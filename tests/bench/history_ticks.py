"""The ticks that history.sh gives to everybody: made-up markets, recorded ones, and a month of minutes."""
import pathlib
import time
import zipfile

import numpy

TICK = numpy.dtype([("time", "<i8"), ("price", "<i8"), ("asset", "<u4"), ("zero", "<u4")])
MINUTE = numpy.dtype([("time", "<i8"), ("open", "<i8"), ("high", "<i8"), ("low", "<i8"), ("close", "<i8"), ("asset", "<u4"), ("zero", "<u4")])
DAY_US = 86400 * 1_000_000
RECORDED = ["forex/fxcm/tick/eurusd/20140501", "forex/fxcm/tick/nzdusd/20140501", "forex/oanda/tick/eurusd/20140501",
            "forex/oanda/tick/nzdusd/20140501", "cfd/oanda/tick/xauusd/20140504"]


def yesterday_us():
    """Recent, so that no peer's retention lets it go."""
    return (time.time_ns() // 1000 // DAY_US - 1) * DAY_US


def walk(assets, seconds):
    """One tick a second each, two decimals: the price stays in a third of all cases and goes up to two cents else."""
    dice = numpy.random.default_rng(7)
    steps = dice.integers(-2, 3, size=(seconds, assets)) * (dice.random((seconds, assets)) > 0.35)
    prices = 5_000_000 + numpy.cumsum(steps, axis=0)
    ticks = numpy.zeros(seconds * assets, TICK)
    ticks["time"] = yesterday_us() + numpy.repeat(numpy.arange(seconds) * 1_000_000, assets)
    ticks["price"] = prices.reshape(-1)
    ticks["asset"] = numpy.tile(numpy.arange(assets, dtype="u4"), seconds)
    return ticks


def read_bids(path):
    with zipfile.ZipFile(path) as packed:
        text = packed.read(packed.namelist()[0]).decode()
    rows = [line.split(",") for line in text.splitlines()]
    return numpy.array([float(row[0]) * 1000 for row in rows], "i8"), numpy.array([round(float(row[1]) * 1e5) for row in rows], "i8")


def recorded(folder, copies):
    """Recorded bids of a day, five decimals. Copies are assets of their own; their times differ below the millisecond that most were
    recorded to, so that nobody finds the same bytes again, and copies of one recording are five assets apart."""
    dice, parts = numpy.random.default_rng(8), []
    for copy in range(copies):
        for number, name in enumerate(RECORDED):
            times, prices = read_bids(pathlib.Path(folder) / f"{name}_quote.zip")
            part = numpy.zeros(len(times), TICK)
            part["time"] = yesterday_us() + numpy.sort(times + dice.integers(0, 1000, len(times)))
            part["price"] = prices
            part["asset"] = copy * len(RECORDED) + number
            parts.append(part)
    ticks = numpy.concatenate(parts)
    return ticks[numpy.argsort(ticks["time"], kind="stable")]


def minutes(assets, days):
    dice = numpy.random.default_rng(9)
    count = days * 1440
    close = 5_000_000 + numpy.cumsum(dice.integers(-20, 21, size=(count, assets)), axis=0)
    rows = numpy.zeros((count, assets), MINUTE)
    rows["time"] = (yesterday_us() - days * DAY_US + numpy.arange(count) * 60_000_000)[:, None]
    rows["open"] = numpy.vstack([numpy.full((1, assets), 5_000_000), close[:-1]])
    rows["close"] = close
    rows["high"] = numpy.maximum(rows["open"], close) + dice.integers(0, 10, size=close.shape)
    rows["low"] = numpy.minimum(rows["open"], close) - dice.integers(0, 10, size=close.shape)
    rows["asset"] = numpy.arange(assets, dtype="u4")[None, :]
    return rows.reshape(-1)
