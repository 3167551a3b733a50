#!/usr/bin/python3
"""pxvenue against an independent WebSocket client: what it answers, that it changes nothing, that a seed repeats itself.

Usage: venue_test.py [NUMBER...]   Needs pxvenue in $PX_BIN (default build/dev/bin); recordings in $PX_RECORDINGS.
Numbered by difficulty: the first failure is the simplest broken thing.
"""
import asyncio
import collections
import gzip
import json
import os
import pathlib
import signal
import ssl
import subprocess
import sys
import tempfile
import time

import websockets

REPO = pathlib.Path(__file__).resolve().parents[2]
PXVENUE = str(pathlib.Path(os.environ.get("PX_BIN", REPO / "build" / "dev" / "bin")) / "pxvenue")
RECORDINGS = pathlib.Path(os.environ.get("PX_RECORDINGS", REPO.parent / "shared" / "data"))
HFT = RECORDINGS / "hftbacktest-binance" / "spot"
CRYPTOFEED = RECORDINGS / "cryptofeed-ws"


class Venue:
    """One pxvenue on a port of its own choice."""

    def __init__(self, *options):
        self.process = subprocess.Popen([PXVENUE, "--port", "0", "--quiet", *map(str, options)],
                                        stdout=subprocess.PIPE, text=True)
        self.head = {}
        while "seed" not in self.head:
            line = self.process.stdout.readline()
            assert line, f"pxvenue ended at start: {options}"
            self.head.update(word.split("=") for word in line.split() if "=" in word)
        self.url = f"ws://127.0.0.1:{self.head['port']}"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def summary(self, signal=None):
        if signal:
            self.process.send_signal(signal)
        text, _ = self.process.communicate(timeout=20)
        assert self.process.returncode == 0, f"exit code {self.process.returncode}"
        line = [line for line in text.splitlines() if line.startswith("summary ")][0]
        return {key: int(value) for key, value in (word.split("=") for word in line.split()[1:])}


def connect(url, tls=None):
    return websockets.connect(url, ssl=tls, max_size=None, max_queue=None, ping_interval=None, compression=None)


async def listen(url, says=(), seconds=30, tls=None):
    """All frames until the venue closes."""
    frames = []
    async with connect(url, tls) as socket:
        for message in says:
            await socket.send(message if isinstance(message, str) else json.dumps(message))
        try:
            while True:
                frames.append(await asyncio.wait_for(socket.recv(), seconds))
        except websockets.ConnectionClosed:
            return frames


def hft_frames(name, wanted):
    """The recorded frames of the wanted streams, as (time, text)."""
    with gzip.open(HFT / name, "rt", newline="\n") as lines:
        for line in lines:
            when, text = line.rstrip("\n").split(" ", 1)
            if text.startswith('{"stream":"') and text.split('"', 4)[3] in wanted:
                yield int(when), text


def cryptofeed_frames(name):
    with open(CRYPTOFEED / name, newline="\n") as lines:
        for line in lines:
            if line[:1].isdigit():
                yield line.rstrip("\n").split(": ", 1)[1]


def test_01_help_teaches():
    text = subprocess.run([PXVENUE, "--help"], capture_output=True, text=True, check=True).stdout
    for option in ("--replay", "--assets", "--script", "--drop", "--journal", "--port"):
        assert option in text, option
    bad = subprocess.run([PXVENUE, "--assets", "ten"], capture_output=True, text=True)
    assert bad.returncode == 2 and "wants an integer" in bad.stderr
    assert subprocess.run([PXVENUE, "--frobnicate"], capture_output=True).returncode == 2


def test_02_list_shows_real_ticks():
    out = subprocess.run([PXVENUE, "--symbols", "BTCUSD,SHIBUSD", "--list"], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["BTCUSD BTC-USD 2 5 0.01 61685.99", "SHIBUSD SHIB-USD 8 0 0.00000001 0.00001388"]


async def test_03_refuses_what_is_no_websocket():
    with Venue("--assets", 1) as venue:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(venue.head["port"]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.startswith(b"HTTP/1.1 4"), answer
        writer.close()


async def test_04_binance_answers():
    with Venue("--assets", 3, "--rate", 100) as venue:
        async with connect(venue.url + "/stream") as socket:
            await socket.send('{"method":"SUBSCRIBE","params":["a00002usd@trade","nothing@trade"],"id":7}')
            assert await socket.recv() == '{"result":null,"id":7}'
            await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":8}')
            answer = json.loads(await socket.recv())
            assert answer == {"result": ["a00002usd@trade"], "id": 8}, answer
            await socket.send("nonsense")
            assert "error" in json.loads(await socket.recv())
            trade = json.loads(await socket.recv())
            assert trade["stream"] == "a00002usd@trade"
            data = trade["data"]
            assert data["e"] == "trade" and data["s"] == "A00002USD" and data["t"] == 1
            assert len(data["p"].split(".")[1]) == 8 and data["T"] == data["E"]
            assert abs(data["T"] - time.time() * 1e3) < 5e3


async def test_05_units_and_bare_streams():
    with Venue("--assets", 2, "--rate", 50, "--ticks", 40, "--exit-when-done", "--clients", 3) as venue:
        streams = "a00001usd@trade/a00002usd@bookTicker"
        ms, us, bare = await asyncio.gather(
            listen(f"{venue.url}/stream?streams={streams}"),
            listen(f"{venue.url}/stream?streams={streams}&timeUnit=MICROSECOND"),
            listen(f"{venue.url}/ws/{streams}"))
        assert len(ms) == len(us) == len(bare) == 40
        for a, b, c in zip(ms, us, bare):
            a, b, c = json.loads(a), json.loads(b), json.loads(c)
            assert a["stream"] == b["stream"] and a["data"] == c
            if "T" in c:
                assert b["data"]["T"] // 1000 == c["T"]
        summary = venue.summary()
        assert summary["trades"] == 40 and summary["quotes"] == 40 and summary["delivered"] == 120


async def test_06_market_repeats_with_its_seed_and_keeps_a_journal():
    runs = []
    for _ in range(2):
        with tempfile.NamedTemporaryFile("r") as journal, \
                Venue("--assets", 20, "--rate", 100, "--ticks", 1000, "--seed", 42, "--no-quotes", "--time-unit", "us",
                      "--exit-when-done", "--journal", journal.name) as venue:
            names = [f"a{i:05}usd@trade" for i in range(1, 21)]
            frames = await listen(venue.url + "/stream", [{"method": "SUBSCRIBE", "params": names, "id": 1}])
            trades = [json.loads(frame)["data"] for frame in frames[1:]]
            assert venue.summary()["trades"] == len(trades) == 1000
            seen = [(t["s"], t["t"], t["p"], t["q"], t["T"]) for t in trades]
            truth = [line.split() for line in journal]
            assert [(s, int(i), p, q, int(t)) for s, i, p, q, t, fate in truth if fate == "sent"] == seen
            ids = collections.defaultdict(list)
            for symbol, number, *_ in seen:
                ids[symbol].append(number)
            assert all(numbers == list(range(1, 51)) for numbers in ids.values())
            spread = seen[-1][4] - seen[0][4]
            assert 0.3e6 < spread < 2e6, f"1000 ticks of 2000 a second took {spread} us"
            runs.append([t[:4] for t in seen])
    assert runs[0] == runs[1]


async def test_07_script_is_sent_as_written():
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
        script.write("# a crossing\n0 BTCUSD 100.10 1\n20 ETHUSD 7 0.5\n0 BTCUSD -3 1e2\n")
        script.flush()
        with Venue("--script", script.name, "--exit-when-done") as venue:
            frames = await listen(venue.url + "/stream?streams=btcusd@trade/ethusd@trade")
            got = [(d["s"], d["t"], d["p"], d["q"]) for d in (json.loads(f)["data"] for f in frames)]
            assert got == [("BTCUSD", 1, "100.10", "1"), ("ETHUSD", 1, "7", "0.5"), ("BTCUSD", 2, "-3", "1e2")], got


async def test_08_other_dialects():
    with Venue("--symbols", "BTCUSD,ETHUSD", "--rate", 50, "--ticks", 20, "--dialect", "coinbase", "--exit-when-done") as venue:
        frames = [json.loads(f) for f in await listen(venue.url, [
            {"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches", "ticker"]}])]
        assert frames[0] == {"type": "subscriptions", "channels": [{"name": "matches", "product_ids": ["BTC-USD"]},
                                                                   {"name": "ticker", "product_ids": ["BTC-USD"]}]}
        assert [f["trade_id"] for f in frames if f["type"] == "match"] == list(range(1, 11))
        assert all(float(f["best_bid"]) < float(f["best_ask"]) for f in frames if f["type"] == "ticker")
    with Venue("--symbols", "BTCUSD,ETHUSD", "--rate", 50, "--ticks", 20, "--dialect", "kraken", "--exit-when-done") as venue:
        frames = [json.loads(f) for f in await listen(venue.url + "/v2", [
            {"method": "subscribe", "params": {"channel": "trade", "symbol": ["ETH/USD", "XX/YY"]}, "req_id": 3}])]
        assert frames[0]["channel"] == "status" and frames[1]["success"] and not frames[2]["success"]
        assert frames[1]["req_id"] == 3
        assert [f["data"][0]["trade_id"] for f in frames[3:]] == list(range(1, 11))


async def test_09_replay_changes_nothing():
    wanted = ["btcusdt@trade", "btcusdt@bookTicker", "ethusdt@trade"]
    expected = [text for _, text in sorted(
        list(hft_frames("btcusdt_20240808.gz", wanted)) + list(hft_frames("ethusdt_20240808.gz", wanted)),
        key=lambda frame: frame[0])]
    with Venue("--replay", *sorted(HFT.glob("*.gz")), "--speed", "max", "--exit-when-done") as venue:
        frames = await listen(venue.url + "/stream?streams=" + "/".join(wanted))
        summary = venue.summary()
    assert len(frames) == len(expected) == 9757 + 28040 + 6106
    assert frames == expected
    assert summary["frames"] == summary["sent"] + summary["unheard"] and summary["sent"] == len(frames)


async def test_10_replay_keeps_the_pace():
    with Venue("--replay", CRYPTOFEED / "KRAKEN.ws.48.0", "--speed", 20, "--exit-when-done") as venue:
        began = time.monotonic()
        frames = await listen(venue.url, ['{"event":"subscribe","pair":["XMR/USD"],"subscription":{"name":"trade"}}'])
        took = time.monotonic() - began
    assert frames == list(cryptofeed_frames("KRAKEN.ws.48.0"))
    assert frames[0].startswith('{"connectionID"')
    assert 1.2 < took < 6, f"30 s at 20 times the pace took {took:.1f} s"


async def test_11_recorded_answers_are_not_doubled():
    says = [{"type": "subscribe", "product_ids": ["SKL-USD"], "channels": ["matches"]}]
    with Venue("--replay", CRYPTOFEED / "COINBASE.ws.28.0", "--speed", "max", "--exit-when-done") as venue:
        frames = await listen(venue.url, says)
    assert frames == list(cryptofeed_frames("COINBASE.ws.28.0"))


async def test_12_restamp_touches_times_only():
    wanted = ["ethusdt@trade"]
    expected = [json.loads(text)["data"] for _, text in hft_frames("ethusdt_20240808.gz", wanted)]
    with Venue("--replay", HFT / "ethusdt_20240808.gz", "--speed", "max", "--restamp", "--exit-when-done") as venue:
        frames = [json.loads(f)["data"] for f in await listen(venue.url + "/stream?streams=ethusdt@trade")]
    now = time.time() * 1e3
    for before, after in zip(expected, frames):
        assert abs(after["E"] - now) < 60e3 and abs(after["T"] - now) < 60e3
        before.update(E=0, T=0)
        after.update(E=0, T=0)
    assert frames == expected


async def faulty_run(*options):
    with tempfile.NamedTemporaryFile("r") as journal, \
            Venue("--assets", 4, "--rate", 500, "--ticks", 2000, "--seed", 9, "--no-quotes", "--exit-when-done",
                  "--journal", journal.name, *options) as venue:
        names = "/".join(f"a{i:05}usd@trade" for i in range(1, 5))
        frames = await listen(f"{venue.url}/stream?streams={names}")
        return frames, venue.summary(), [line.split() for line in journal]


def numbers(frames):
    return [(d["s"], d["t"]) for d in (json.loads(f)["data"] for f in frames)]


async def test_13_faults_repeat_with_their_seed():
    first, summary, truth = await faulty_run("--drop", 5, "--duplicate", 2.5)
    again, _, _ = await faulty_run("--drop", 5, "--duplicate", 2.5)
    alone, _, _ = await faulty_run("--drop", 5)
    assert numbers(first) == numbers(again)
    assert list(dict.fromkeys(numbers(first))) == numbers(alone), "duplicates changed what is dropped"
    dropped = [(line[0], int(line[1])) for line in truth if line[5] == "dropped"]
    assert 50 < len(dropped) < 160 and summary["trades_dropped"] == len(dropped)
    assert set(dropped).isdisjoint(numbers(first))
    assert len(first) == 2000 - len(dropped) + summary["duplicated"]


async def test_14_delays_reorders_and_garbles():
    frames, summary, _ = await faulty_run("--delay", "3:40", "--reorder", 3)
    assert sorted(numbers(frames)) == sorted((f"A{a:05}USD", n) for a in range(1, 5) for n in range(1, 501))
    assert summary["delayed"] > 20 and summary["reordered"] > 20 and numbers(frames) != sorted(numbers(frames))
    frames, summary, _ = await faulty_run("--garble", 10)
    assert len(frames) == 2000 and 120 < summary["garbled"] < 280


async def test_15_stalls_and_disconnects():
    with Venue("--assets", 1, "--rate", 200, "--stall", "0.5:0.4", "--disconnect", 2) as venue:
        gaps, last = [], time.monotonic()
        async with connect(venue.url + "/stream?streams=a00001usd@trade") as socket:
            try:
                while True:
                    await asyncio.wait_for(socket.recv(), 5)
                    gaps.append(time.monotonic() - last)
                    last = time.monotonic()
            except websockets.ConnectionClosedError:
                pass
        assert sum(gap > 0.3 for gap in gaps[1:]) in (1, 2), "stalls of 0.4 s"
        async with connect(venue.url + "/stream?streams=a00001usd@trade") as socket:
            assert json.loads(await socket.recv())["data"]["t"] > len(gaps), "the market went on meanwhile"
        summary = venue.summary(signal.SIGTERM)
        assert summary["disconnects"] >= 1 and summary["connections"] == 2 and summary["unheard"] > 0


async def test_16_tls():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key,
                        "-out", cert], check=True, capture_output=True)
        trust = ssl.create_default_context(cafile=cert)
        with Venue("--assets", 5, "--rate", 100, "--ticks", 500, "--exit-when-done", "--cert", cert, "--key", key) as venue:
            url = venue.url.replace("ws:", "wss:") + "/stream?streams=a00003usd@trade"
            frames = await listen(url, tls=trust)
            assert [json.loads(frame)["data"]["t"] for frame in frames] == list(range(1, 101))


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(1 if os.environ.get("PX_REQUIRE_ALL") == "1" else 77)


def main():
    tests = sorted((name, test) for name, test in globals().items() if name.startswith("test_"))
    recorded = HFT.is_dir() and CRYPTOFEED.is_dir()
    only = sys.argv[1:]
    for name, test in tests:
        if only and not any(name.startswith(f"test_{number}") for number in only):
            continue
        if not recorded and name[5:7] in ("09", "10", "11", "12"):
            continue
        result = test()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
        print(f"ok {name}", flush=True)
    if not recorded:
        skip(f"no recordings under {RECORDINGS}; the tests without them passed")


main()
