#!/usr/bin/python3
"""Candles of a second and of a minute against bars that somebody else has published, over the whole engine.

The recordings of foreign exchange and gold (QuantConnect's Lean) hold the bids of a day tick by tick, and the bars that were made of
them. The bids go as trades at that price through a venue, ingest, shared memory, the keeper and REST; every bar has to come back, and no
other. TWAP and VWAP, which the bars lack, are held against an integral over the same ticks in exact fractions. Those of Oanda arrive shaken:
every fortieth tick twice, every thirtieth up to a second and a half late.

With arguments, those recordings only: 21_bars_test.py fxcm/eurusd oanda/xauusd. `--all` plays all five: 181,558 ticks.
"""
import bisect
import decimal
import fractions
import gzip
import json
import pathlib
import sys
import tempfile
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

LEAN = harness.RECORDINGS / "lean"
# asset, its folder, day, decimals, ticks, bars of a second and of a minute
SETS = [("EUR-USD", "forex/fxcm/{}/eurusd", "20140501", 5), ("NZD-USD", "forex/fxcm/{}/nzdusd", "20140501", 5),
        ("EUR-UST", "forex/oanda/{}/eurusd", "20140501", 5), ("NZD-UST", "forex/oanda/{}/nzdusd", "20140501", 5),
        ("XAU-USD", "cfd/oanda/{}/xauusd", "20140504", 3)]
BOUNDED = ["fxcm/eurusd", "oanda/xauusd"]
US = 1_000_000
LATE = 3 * US // 2
CARRY = 300 * US
DAYS = {"20140501": 1398902400 * US, "20140504": 1399161600 * US}


class Series:
    """The ticks of one file, and what was published about them."""

    def __init__(self, asset, folder, day, decimals):
        self.asset, self.folder, self.day, self.decimals = asset, folder, day, decimals
        self.venue_symbol = asset.replace("-", "")
        self.ticks = []
        for row in self.rows("tick"):
            at = DAYS[day] + int(decimal.Decimal(row[0]) * 1000)
            self.ticks.append((at, decimal.Decimal(row[1]), len(self.ticks) % 97 + 1))
        self.times = [at for at, _, _ in self.ticks]

    def rows(self, resolution):
        with zipfile.ZipFile(LEAN / self.folder.format(resolution) / f"{self.day}_quote.zip") as packed:
            text = packed.read(packed.namelist()[0]).decode()
        return [line.split(",") for line in text.splitlines()]

    def bars(self, resolution):
        """start in us -> bid o, h, l, c"""
        return {DAYS[self.day] + int(row[0]) * 1000: tuple(map(decimal.Decimal, row[1:5])) for row in self.rows(resolution)}

    def arrivals(self):
        """The ticks in the order in which they are sent; those of one instant stay in theirs, since it decides who closes a candle."""
        if "oanda" not in self.folder:
            return self.ticks
        sent = [[at, i, tick] for i, (at, tick) in enumerate(zip(self.times, self.ticks))]
        for i in range(30, len(sent) - 1, 30):
            if self.times[i - 1] < self.times[i] < self.times[i + 1]:
                sent[i][0] += LATE
        return [tick for _, _, tick in sorted(sent)]

    def frames(self):
        sent_us = 0
        for number, (at, bid, size) in enumerate(self.arrivals(), 1):
            sent_us = max(sent_us, at)
            trade = {"e": "trade", "E": at, "s": self.venue_symbol, "t": number, "p": str(bid), "q": str(size), "T": at, "m": False}
            frame = json.dumps({"stream": f"{self.venue_symbol.lower()}@trade", "data": trade}, separators=(",", ":"))
            for _ in range(2 if "oanda" in self.folder and number % 40 == 0 else 1):
                yield sent_us, frame

    def config(self):
        return (f"symbol: {self.asset}, decimals: {self.decimals}, size_decimals: 0, "
                f"sources: {{venue: {self.venue_symbol}}}")

    def integral(self, start, end):
        """TWAP and VWAP over [start, end) by the definition: the last price held for at most five minutes."""
        area = known = value = volume = 0
        first = bisect.bisect_left(self.times, start)
        for i in range(max(first - 1, 0), len(self.ticks)):
            at, price, size = self.ticks[i]
            if at >= end:
                break
            until = self.times[i + 1] if i + 1 < len(self.times) else end
            held = min(until, end, at + CARRY) - max(at, start)
            if held > 0:
                area += fractions.Fraction(price) * held
                known += held
            if at >= start:
                value += fractions.Fraction(price) * size
                volume += size
        return (area / known if known else None), value / volume


def rounded(value, decimals):
    """Half to even, as the engine rounds."""
    return None if value is None else decimal.Decimal(round(value * 10**decimals)).scaleb(-decimals)


def candles(engine, series, interval):
    """start in us -> row, over all pages."""
    rows, cursor = {}, ""
    while True:
        body = engine.get(f"/api/v1/candles/{series.asset}?interval={interval}&start={DAYS[series.day]}&limit=5000"
                          f"&partial=true{cursor}")
        columns = {key: body[key] for key in ("o", "h", "l", "c", "n", "twap", "vwap", "final")}
        for i, start in enumerate(body["t"]):
            assert epoch_us(start) not in rows, f"{series.asset}: {start} is told twice"
            rows[epoch_us(start)] = {key: column[i] for key, column in columns.items()}
        if not body["next_cursor"]:
            return rows
        cursor = f"&cursor={body['next_cursor']}"


def epoch_us(text):
    import datetime
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc)
    return round(moment.timestamp()) * US


def all_final(engine, series):
    """What is final is told once a second, by minutes."""
    body = engine.get(f"/api/v1/candles/{series.asset}?interval=1m&partial=true&limit=2")
    return len(body["final"]) == 2 and body["final"][0]


def check(engine, series, resolution, interval, width):
    published, rows = series.bars(resolution), candles(engine, series, interval)
    what = f"{series.asset} {interval}"
    assert rows.keys() == published.keys(), (f"{what}: {len(rows)} candles, {len(published)} bars; only here "
                                             f"{sorted(rows.keys() - published.keys())[:3]}, only there "
                                             f"{sorted(published.keys() - rows.keys())[:3]}")
    for start, bar in published.items():
        got = tuple(decimal.Decimal(rows[start][key]) for key in "ohlc")
        assert got == bar, f"{what} at {start}: candle {got}, bar {bar}"
    averages, last_minute = 0, series.times[-1] // (60 * US) * 60 * US
    for start, row in rows.items():
        assert row["final"] == (start < last_minute), f"{what} at {start}: final is {row['final']}"
        if not row["final"]:
            continue
        twap, vwap = series.integral(start, start + width)
        for name, exact in (("twap", twap), ("vwap", vwap)):
            got, decimals = decimal.Decimal(row[name]), len(row[name].partition(".")[2])
            assert got == rounded(exact, decimals), f"{what} at {start}: {name} {got}, brute force {float(exact)}"
            averages += 1
    assert sum(row["n"] for row in rows.values()) == len(series.ticks)
    print(f"ok {what}: {len(rows)} of {len(published)} bars equal, {averages} averages equal, {len(series.ticks)} ticks", flush=True)


def write_recording(all_series, path):
    frames = sorted((frame for series in all_series for frame in series.frames()), key=lambda frame: frame[0])
    with gzip.open(path, "wt", compresslevel=1) as out:
        out.writelines(f"{at * 1000} {text}\n" for at, text in frames)
    return len(frames) - sum(len(series.ticks) for series in all_series)


def chosen(arguments):
    names = arguments or BOUNDED
    return [Series(*row) for row in SETS
            if arguments == ["--all"] or any(row[1].format("x").endswith(name.replace("/", "/x/")) for name in names)]


def main():
    if not LEAN.is_dir():
        harness.skip(f"no recording in {LEAN}; set PX_RECORDINGS")
    all_series = chosen(sys.argv[1:])
    assert all_series, f"no such recording: {sys.argv[1:]}"
    with tempfile.TemporaryDirectory(prefix="px-bars-") as folder:
        path = pathlib.Path(folder) / "bids.gz"
        total, twice = sum(len(series.ticks) for series in all_series), write_recording(all_series, path)
        with harness.Venue("--replay", path, "--speed", "max") as venue, \
                harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\""],
                               [series.config() for series in all_series]) as engine:
            harness.wait_for(f"{total} ticks are stored", lambda: engine.metrics()["pxengine_stored_ticks_total"] >= total, 120, 0.2)
            for series in all_series:
                harness.wait_for("minutes are final", lambda: all_final(engine, series), 20, 0.1)
                check(engine, series, "second", "1s", US)
                check(engine, series, "minute", "1m", 60 * US)
            metrics = engine.metrics()
            assert metrics["pxengine_ticks_duplicate_total"] == twice, f"{twice} were sent twice"
            for name in ("keeper_overrun_ticks_total", "ticks_bad_total"):
                assert metrics[f"pxengine_{name}"] == 0, name


if __name__ == "__main__":
    main()
