#!/usr/bin/python3
"""Answers of millions of rows: whole, in bounded memory, over a keeper that dies, and cut off for who does not take them.

Usage: 63_stream_test.py [--ticks N]
"""
import argparse
import gzip
import http.client
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

DAY_US = 86400 * 1_000_000
STREAMS = 8  # at a time, of one web worker
CSV, LINES = {"Accept": "text/csv"}, {"Accept": "application/x-ndjson"}


def make_history(folder, count):
    """`count` trades of one asset, evenly over yesterday."""
    start = (time.time_ns() // 1000 // DAY_US - 1) * DAY_US
    step = DAY_US // count
    row = struct.Struct("<qqII")
    (folder / "ticks").write_bytes(b"".join(row.pack(start + i * step, 5_000_000 + i * 7 % 1000, 0, 0) for i in range(count)))
    data = folder / "data"
    data.mkdir()
    subprocess.run([harness.BIN / "history_store", data, folder / "ticks", "1", "2"], check=True, stdout=subprocess.DEVNULL)
    return start * 1000


class Stream:
    """One answer as it comes in: http.client knows chunks, and says when their end is missing."""

    def __init__(self, port, path, headers):
        self.link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.link.request("GET", path, headers=headers)
        self.answer = self.link.getresponse()

    def read(self):
        """(body, whether it ended as it should)"""
        try:
            return self.answer.read(), True
        except http.client.IncompleteRead as broken:
            return broken.partial, False
        except ConnectionError:
            return b"", False
        finally:
            self.link.close()


def resident(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) * 1024


class Watch(threading.Thread):
    """The most memory that a process has while this runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.done = pid, resident(pid), False
        self.start()

    def run(self):
        while not self.done:
            self.most = max(self.most, resident(self.pid))
            time.sleep(0.02)

    def stop(self):
        self.done = True
        self.join()
        return self.most


def check_rows(text, first, count):
    """Every row once, in order: the number that the feed gave is in the sixth column."""
    rows = text.decode().splitlines()
    assert rows[0].split(",")[5] == "seq", rows[0]
    assert len(rows) - 1 == count, f"{len(rows) - 1} rows instead of {count}"
    for i, row in enumerate(rows[1:]):
        assert int(row.split(",")[5]) == first + i, f"row {i}: {row}"


def whole_and_flat(engine, path, count):
    """All of it, plain and packed, while web's memory stays what it was."""
    web = engine.workers()["web"][0]
    engine.get("/api/v1/ticks/T00000-USD?limit=5000")
    before, watch = resident(web), Watch(web)
    began = time.monotonic()
    stream = Stream(engine.port, path, CSV)
    assert stream.answer.getheader("Transfer-Encoding") == "chunked" and not stream.answer.getheader("ETag")
    plain, ended = stream.read()
    took = time.monotonic() - began
    assert ended
    check_rows(plain, 1, count)
    stream = Stream(engine.port, path, CSV | {"Accept-Encoding": "gzip"})
    assert stream.answer.getheader("Content-Encoding") == "gzip"
    packed, ended = stream.read()
    assert ended and gzip.decompress(packed) == plain
    more = watch.stop() - before
    print(f"{count} ticks, {len(plain) / 1e6:.0f} MB, in {took:.1f} s; packed {len(packed) / 1e6:.1f} MB; web took {more / 1e6:.1f} MB more")
    assert more < 8_000_000, more


def forms(engine, start, count):
    """JSON, JSON a line and CSV say the same as pages do, and where it goes on."""
    base = f"/api/v1/ticks/T00000-USD?start={start}"
    rows = [json.loads(line) for line in Stream(engine.port, base + "&limit=12345", LINES).read()[0].splitlines()]
    end = rows.pop()
    assert end["end"] is True and end["rows"] == len(rows) == 12345
    body = json.loads(Stream(engine.port, base + "&limit=12345", {}).read()[0])
    assert body["ticks"] == rows and body["next_cursor"] == end["next_cursor"]
    pages, cursor = [], ""
    while len(pages) < 12345:
        page = engine.get(base + "&limit=5000" + cursor)
        pages += page["ticks"]
        cursor = f"&cursor={page['next_cursor']}"
    assert pages[:12345] == rows
    following = Stream(engine.port, base + f"&limit={count}&cursor={end['next_cursor']}", CSV).read()[0]
    check_rows(following, 12346, count - 12345)
    down = [json.loads(line) for line in Stream(engine.port, "/api/v1/ticks/T00000-USD?order=desc&limit=7000", LINES).read()[0].splitlines()]
    assert [row["seq"] for row in down[:-1]] == list(range(count, count - 7000, -1))
    few = [json.loads(line) for line in Stream(engine.port, "/api/v1/ticks/T00000-USD?limit=3", LINES).read()[0].splitlines()]
    assert [row.get("seq") for row in few] == [count - 2, count - 1, count, None]


def candles(engine, start):
    """A day of seconds, filled, in one answer and in pages."""
    base = f"/api/v1/candles/T00000-USD?interval=5s&fill=previous&start={start}&end={start + 86400 * 10**9}"
    rows = [json.loads(line) for line in Stream(engine.port, base + "&limit=100000", LINES).read()[0].splitlines()]
    end = rows.pop()
    assert end == {"end": True, "rows": 17280, "next_cursor": None} and len(rows) == 17280, end
    pages, cursor = [], ""
    while cursor is not None:
        page = engine.get(base + "&limit=5000" + cursor)
        pages += [dict(zip(page, values)) for values in zip(*[page[name] for name in rows[0]])]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert [list(row.values()) for row in pages] == [list(row.values()) for row in rows]
    table = Stream(engine.port, base + "&limit=100000", CSV).read()[0].decode().splitlines()
    assert len(table) == 17281 and table[0].split(",") == list(rows[0])
    back = [json.loads(line) for line in Stream(engine.port, base + "&limit=100000&order=desc", LINES).read()[0].splitlines()]
    assert [row["t"] for row in back[:-1]] == [row["t"] for row in reversed(rows)]


def refusals(engine):
    for path, pointer in (("/api/v1/candles/T00000-USD?start=0&limit=5001", "?limit"), ("/api/v1/ticks/T00000-USD?limit=5001", "?start"),
                          ("/api/v1/ticks/T00000-USD?start=0&limit=1000000001", "?limit")):
        status, body, _ = engine.request("GET", path)
        assert status == 422 and body["errors"][0]["pointer"] == pointer, (path, status, body)
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as old:
        old.sendall(b"GET /api/v1/ticks/T00000-USD?start=0&limit=5001 HTTP/1.0\r\n\r\n")
        assert b" 400 " in old.recv(1000).split(b"\r\n")[0]
    status, text, headers = engine.request("HEAD", "/api/v1/ticks/T00000-USD?start=0&limit=5001", raw=True)
    assert status == 200 and text == "" and headers["Transfer-Encoding"] == "chunked"


def keeper_dies(engine, path, count):
    """In the middle: the stream waits for its successor and goes on, with every row once."""
    stream = Stream(engine.port, path, CSV)
    head = stream.answer.read(1_000_000)
    engine.kill("keeper")
    rest, ended = stream.read()
    assert ended, "the stream broke off"
    check_rows(head + rest, 1, count)


def slow_readers(engine, path):
    """They hold no more than their share, everybody else is served, and in the end they are cut off: no last chunk."""
    cut = engine.metrics()["pxengine_http_streams_cut_total"]
    links = []
    for _ in range(STREAMS):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        link.connect(("127.0.0.1", engine.port))
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n\r\n".encode())
        links.append(link)
    began = time.monotonic()
    status = harness.wait_for("one too many is refused", lambda: (lambda s: s if s == 429 else None)(engine.request("GET", path)[0]), 20)
    assert status == 429
    while engine.metrics()["pxengine_http_streams_cut_total"] < cut + STREAMS:
        assert time.monotonic() - began < 60, "still held"
        engine.get("/api/v1/candles/T00000-USD?limit=10")
        time.sleep(0.1)
    print(f"{STREAMS} readers that do not read were cut off after {time.monotonic() - began:.1f} s")
    for link in links:
        tail = b""
        link.settimeout(30)
        try:
            while data := link.recv(1 << 16):
                tail = (tail + data)[-16:]
        except ConnectionError:
            pass
        assert not tail.endswith(b"0\r\n\r\n"), "a broken stream that looks whole"
        link.close()
    assert Stream(engine.port, path.replace("limit=", "limit=6000&x="), CSV).read()[1], "a stream has a place again"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ticks", type=int, default=2_000_000)
    options = parser.parse_args()
    if not (harness.BIN / "history_store").exists():
        harness.skip("history_store is not built")
    with tempfile.TemporaryDirectory(prefix="px-stream-") as name:
        folder = pathlib.Path(name)
        began = time.monotonic()
        start = make_history(folder, options.ticks)
        assets = ["symbol: T00000-USD, decimals: 2, size_decimals: 0, sources: {v: T00000}"]
        with harness.Venue("--symbols", "BTCUSD", "--no-quotes") as venue, \
                harness.Engine([f"name: v, dialect: binance, url: \"{venue.url}\""], assets, folder=folder,
                               extra="limits: {requests_per_second: 1000000}\n") as engine:
            path = f"/api/v1/ticks/T00000-USD?start={start}&limit={options.ticks}"
            print(f"made after {time.monotonic() - began:.1f} s")
            refusals(engine)
            forms(engine, start, options.ticks)
            candles(engine, start)
            whole_and_flat(engine, path, options.ticks)
            keeper_dies(engine, path, options.ticks)
            slow_readers(engine, path)
    print("every stream was whole, or said that it was not")


if __name__ == "__main__":
    main()
