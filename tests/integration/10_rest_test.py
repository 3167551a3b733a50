#!/usr/bin/python3
"""REST of a whole engine: a made-up venue in front, an http client of the standard library behind.

Usage: 10_rest_test.py [NUMBER...]   Needs pxengine and pxvenue in $PX_BIN (default build/dev/bin).
Numbered by difficulty: the first failure is the simplest broken thing.
"""
import gzip
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("PX_BIN", REPO / "build" / "dev" / "bin"))
CONFIG = """
listen: 127.0.0.1:{port}
data: {data}
log_level: warn
web_workers: 2
limits: {{requests_per_second: 100000, body_kib: 8KiB}}
venues:
  - {{name: binance, dialect: binance, url: "{url}", clock: receipt, stale_after: 10s}}
assets:
  - {{symbol: BTC-USDT, decimals: 2, size_decimals: 8, aliases: [BTC/USDT], sources: {{binance: BTCUSDT}}}}
  - {{symbol: ETH-USDT, decimals: 2, size_decimals: 8, sources: {{binance: ETHUSDT}}}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=15):
    """The first true value of what(), asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


class Answer:
    def __init__(self, answer, body):
        self.status, self.headers = answer.status, answer.headers
        self.raw = body
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.body = body
        self.json = json.loads(body) if body and "json" in self.headers.get("Content-Type", "") else None


class Engine:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.port = free_port()
        self.venue = subprocess.Popen(
            [BIN / "pxvenue", "--port", "0", "--quiet", "--symbols", "BTCUSDT,ETHUSDT", "--rate", "20", "--seed", "7"],
            stdout=subprocess.PIPE, text=True)
        head = {}
        while "port" not in head:
            head.update(word.split("=") for word in self.venue.stdout.readline().split() if "=" in word)
        config = self.folder / "pxengine.yaml"
        config.write_text(CONFIG.format(port=self.port, data=self.data, url=f"ws://127.0.0.1:{head['port']}"))
        self.key = self.make_key()
        self.process = subprocess.Popen([BIN / "pxengine", "run", "--config", config])

    def make_key(self, *options):
        made = subprocess.run([BIN / "pxengine", "key", "add", "--data", self.data, *options], capture_output=True,
                              text=True, check=True)
        return re.search(r"px_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", made.stdout).group(0)

    def call(self, method, path, body=None, key=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            headers["X-API-Key"] = key
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.call("GET", path, **headers)

    def ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def restarts(self):
        try:
            return sum(worker["restarts"] for worker in self.get("/api/v1/status").json["workers"])
        except OSError:
            return 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.venue.kill()
        self.venue.wait()
        self.venue.stdout.close()
        return code


ALERT = {"symbol": "BTC-USDT", "condition": {"op": "crossing_up", "level": "99999999"}}


def check_problem(answer, status, code):
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["code"] == code and answer.json["status"] == status, answer.json
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    for name in ("type", "title", "detail", "instance"):
        assert name in answer.json, name


def test_01_answers(engine):
    answer = engine.get("/api/v1/time")
    assert answer.status == 200 and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", answer.json["time"])
    assert engine.get("/livez").status == 200


def test_02_is_ready(engine):
    verbose = engine.get("/readyz?verbose")
    roles = [worker["role"] for worker in verbose.json["workers"]]
    assert roles == ["supervisor", "ingest", "evaluator", "keeper", "notify", "web", "web"], roles
    status = engine.get("/api/v1/status").json
    assert status["state"] == "ready" and re.fullmatch(r"k\d+", status["epoch"]), status


def test_03_lists_assets(engine):
    answer = engine.get("/api/v1/assets")
    assert [asset["symbol"] for asset in answer.json["assets"]] == ["BTC-USDT", "ETH-USDT"]
    assert engine.get("/api/v1/assets/BTC%2FUSDT").json["decimals"] == 2


def test_04_follows_prices(engine):
    first = until(lambda: (lambda a: a if a.json["price"] else None)(engine.get("/api/v1/prices/BTC-USDT")))
    assert re.fullmatch(r"\d+\.\d\d", first.json["price"]) and first.json["stale"] is False, first.json
    until(lambda: engine.get("/api/v1/prices/BTC-USDT").json["seq"] > first.json["seq"])
    assert engine.get("/api/v1/prices/BTC-USDT", If_None_Match=first.headers["ETag"]).status == 200
    both = engine.get("/api/v1/prices?symbols=BTC-USDT,ETH-USDT").json["prices"]
    assert [price["symbol"] for price in both] == ["BTC-USDT", "ETH-USDT"]
    until(lambda: engine.get("/api/v1/averages/BTC-USDT").json["1m"]["twap"])


def test_05_serves_the_dashboard(engine):
    page = engine.get("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    packed = engine.get("/", Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip" and packed.body == page.body
    assert packed.headers["ETag"] != page.headers["ETag"]
    assert engine.get("/", If_None_Match=page.headers["ETag"]).status == 304
    assert engine.get("/../etc/passwd").status == 404


def test_06_counts(engine):
    text = engine.get("/metrics").body.decode()
    families = re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", text, re.M)
    helped = re.findall(r"^# HELP (\S+) .+$", text, re.M)
    assert [name for name, _ in families] == helped and len(set(helped)) == len(helped)
    kinds = dict(families)
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, value = re.fullmatch(r'(pxengine_[a-z0-9_]+)(?:\{[^}]*\})? (\S+)', line).groups()
        name = re.sub("_(bucket|sum|count)$", "", name) if name not in kinds else name
        assert name in kinds and float(value) >= 0, line
        assert (kinds[name] == "counter") == name.endswith("_total"), name
    assert re.search(r"^pxengine_trades_total [1-9]", text, re.M)


def test_06_times_what_it_answers(engine):
    def counts(text, stage):
        rows = re.findall(rf'^pxengine_http_{stage}_seconds_(bucket|count){{class="average"(?:,le="([^"]+)")?}} (\d+)$', text, re.M)
        assert len(rows) == 33, rows
        values = [int(value) for _, _, value in rows]
        assert values == sorted(values) and values[-2] == values[-1], "each bucket counts what those before it do"
        return values[-1]

    before = engine.get("/metrics").body.decode()
    for _ in range(20):
        engine.get("/api/v1/averages/BTC-USDT")
        engine.get("/api/v1/averages/BTC-USDT?interval=1m")
    after = engine.get("/metrics").body.decode()
    for stage in ("handler", "server"):
        assert counts(after, stage) - counts(before, stage) == 20, stage


def test_06_mixes_on_one_connection(engine):
    """Some requests are answered by the loop that owns the socket, others behind it: a client does not know which."""
    def head(path, *lines):
        return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()

    def answer(link, data=b""):
        while b"\r\n\r\n" not in data:
            data += link.recv(65536)
        top, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", top).group(1)) if b" 304 " not in top.split(b"\r\n")[0] else 0
        while len(body) < length:
            body += link.recv(65536)
        return int(top.split()[1]), top, body[:length], body[length:]

    average, price, candles = "/api/v1/averages/BTC-USDT", "/api/v1/prices/ETH-USDT", "/api/v1/candles/BTC-USDT?limit=2"
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as link:
        for path, status in ((average, 200), (price, 200), ("/api/v1/prices/XX", 404), (average, 200), (candles, 200), (average, 200), (candles, 200)):
            link.sendall(head(path))
            got, _, body, rest = answer(link)
            assert got == status and rest == b"", (path, got)
            assert (b'"1h":{' in body) == (path == average), path
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as link:
        link.sendall(head(average)[:20])
        time.sleep(0.05)
        link.sendall(head(average)[20:])
        assert answer(link)[0] == 200
        link.sendall(head(average) + head(price) + head(candles, "Connection: close"))
        status, _, body, rest = answer(link)
        assert status == 200 and b'"1h":{' in body
        status, _, body, rest = answer(link, rest)
        assert status == 200 and b'"ETH-USDT"' in body
        status, _, body, rest = answer(link, rest)
        assert status == 200 and b'"interval":"1m"' in body
    with socket.create_connection(("127.0.0.1", engine.port), timeout=20) as link:
        link.sendall(head(average, "X-API-Key: wrong"))
        status, top, body, _ = answer(link)
        assert status == 401 and b"WWW-Authenticate" in top
        link.sendall(head(average, f"X-API-Key:  {engine.key} ", "Accept-Encoding: gzip"))
        status, top, body, _ = answer(link)
        assert status == 200 and b'"1h":{' in (gzip.decompress(body) if b"gzip" in top else body)
        link.sendall(head(average, "Connection: close"))
        status, top, _, rest = answer(link)
        assert status == 200 and link.recv(10) == b"", "it was asked to close"


def test_07_tells_what_is_wrong(engine):
    check_problem(engine.get("/api/v1/prices/XX-YY"), 404, "unknown_symbol")
    check_problem(engine.get("/api/v1/nothing"), 404, "not_found")
    check_problem(engine.get("/api/v1/prices/%00"), 400, "bad_request")
    check_problem(engine.call("DELETE", "/api/v1/time"), 405, "method_not_allowed")
    check_problem(engine.get("/api/v1/candles/BTC-USDT?interval=7m"), 422, "validation")
    check_problem(engine.get("/api/v1/alerts"), 401, "unauthorized")
    check_problem(engine.call("POST", "/api/v1/alerts", " " * 9000, key=engine.key), 413, "too_large")
    check_problem(engine.call("POST", "/api/v1/alerts", "{", key=engine.key), 400, "bad_request")
    wrong = engine.call("POST", "/api/v1/alerts", {"symbol": "BTC-USDT", "condition": {"op": ">=", "level": 1.5}}, key=engine.key)
    check_problem(wrong, 422, "validation")
    assert wrong.json["errors"] == [
        {"pointer": "/condition/level", "detail": "must be a string so that it stays exact"}]


def test_08_shows_candles(engine):
    candles = until(lambda: (lambda j: j if j["t"] else None)(
        engine.get("/api/v1/candles/BTC-USDT?interval=1m&partial=true").json))
    assert len({len(candles[c]) for c in ("t", "o", "h", "l", "c", "v", "n", "twap", "final", "filled")}) == 1
    assert candles["final"][-1] is False, candles
    start = int(time.time()) // 60 * 60 - 240
    filled = engine.get(f"/api/v1/candles/BTC-USDT?interval=1m&partial=true&fill=null&start={start}").json
    assert len(filled["t"]) in (5, 6) and filled["t"] == sorted(filled["t"]) and filled["c"][0] is None, filled
    for interval in ("3m", "5m", "1h", "1d", "1w"):
        composed = engine.get(f"/api/v1/candles/BTC-USDT?interval={interval}&partial=true").json
        assert len(composed["t"]) >= 1, interval


def test_09_shows_ticks(engine):
    page = until(lambda: (lambda j: j if len(j["ticks"]) == 3 and j["next_cursor"] else None)(
        engine.get("/api/v1/ticks/BTC-USDT?start=0&limit=3").json))
    second = engine.get(f"/api/v1/ticks/BTC-USDT?start=0&limit=3&cursor={page['next_cursor']}").json
    seqs = [tick["seq"] for tick in page["ticks"] + second["ticks"]]
    assert seqs == sorted(set(seqs)), seqs


def test_10_keeps_alerts(engine):
    made = engine.call("POST", "/api/v1/alerts", {**ALERT, "name": "über", "tags": ["a"]}, key=engine.key)
    assert made.status == 201 and made.json["state"] == "armed", made.body
    path = made.headers["Location"]
    assert engine.get(path, key=engine.key).json == made.json
    assert made.json in engine.get("/api/v1/alerts?symbol=BTC/USDT&tag=a&state=armed", key=engine.key).json["alerts"]
    other = engine.make_key()
    time.sleep(1.5)  # each worker looks at the key file once a second
    check_problem(engine.get(path, key=other), 404, "unknown_alert")
    check_problem(engine.call("DELETE", path, key=other), 404, "unknown_alert")
    check_problem(engine.call("DELETE", path, key=engine.key, If_Match='"77"'), 412, "precondition_failed")
    assert engine.call("DELETE", path, key=engine.key, If_Match=made.headers["ETag"]).status == 204
    check_problem(engine.get(path, key=engine.key), 404, "unknown_alert")


def test_11_pages_alerts(engine):
    ids = {engine.call("POST", "/api/v1/alerts", ALERT, key=engine.key).json["id"] for _ in range(7)}
    found, path = [], "/api/v1/alerts?limit=3"
    while path:
        page = engine.get(path, key=engine.key)
        found += [alert["id"] for alert in page.json["alerts"]]
        link = page.headers.get("Link")
        path = re.match("<([^>]+)>", link).group(1) if link else None
    assert len(found) == len(set(found)) and ids <= set(found)


def test_12_fires(engine):
    made = engine.call("POST", "/api/v1/alerts", {"symbol": "BTC-USDT", "message": "now",
                                                 "condition": {"op": ">=", "level": "0.01"}}, key=engine.key)
    path = made.headers["Location"]
    fired = until(lambda: (lambda j: j if j["state"] == "fired" else None)(engine.get(path, key=engine.key).json))
    assert fired["fires"] == 1 and fired["last_fired_at"], fired
    events = engine.get("/api/v1/events", key=engine.key).json
    mine = [event for event in events["events"] if event["alert_id"] == fired["id"]]
    assert len(mine) == 1 and mine[0]["message"] == "now" and mine[0]["level"] == "0.01", events
    later = engine.get(f"/api/v1/events?since={events['next_since']}", key=engine.key).json
    assert later["events"] == [] and later["next_since"] == events["next_since"]


def test_13_repeats_a_create_over_a_death(engine):
    made = engine.call("POST", "/api/v1/alerts", ALERT, key=engine.key, Idempotency_Key="k-1")
    pids = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(engine.process.pid)], capture_output=True, text=True)
    assert made.status == 201
    workers = [line.split()[0] for line in pids.stdout.splitlines()]
    assert workers
    os.kill(int(workers[-1]), signal.SIGKILL)
    until(lambda: engine.restarts() > 0 and engine.ready(), 20)
    again = engine.call("POST", "/api/v1/alerts", ALERT, key=engine.key, Idempotency_Key="k-1")
    assert again.status == 201 and again.json["id"] == made.json["id"], again.body
    other = {"symbol": "ETH-USDT", "condition": ALERT["condition"]}
    check_problem(engine.call("POST", "/api/v1/alerts", other, key=engine.key, Idempotency_Key="k-1"), 422,
                  "idempotency_conflict")


def test_14_survives_garbage(engine):
    dice = random.Random(5)
    heads = [b"GET /api/v1/prices/%s HTTP/1.1\r\nHost: x\r\n\r\n" % bytes(dice.randrange(256) for _ in range(40))
             for _ in range(60)]
    heads += [b"\x16\x03\x01" * 50, b"GET " + b"/" * 20000, b"POST /api/v1/alerts HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
              b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
              b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"\r\n\r\n\r\n"]
    for head in heads:
        with socket.create_connection(("127.0.0.1", engine.port), timeout=5) as s:
            try:
                s.sendall(head)
                s.shutdown(socket.SHUT_WR)
                s.recv(1000)
            except OSError:
                pass
    assert engine.get("/api/v1/time").status == 200
    until(engine.ready)
    assert engine.restarts() <= 1, "a worker died of it"


def main():
    missing = [name for name in ("pxengine", "pxvenue") if not (BIN / name).exists()]
    if missing:
        print(f"SKIP: {missing[0]} is not in {BIN}")
        sys.exit(1 if os.environ.get("PX_REQUIRE_ALL") == "1" else 77)
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(folder)
        failed = 0
        try:
            until(engine.ready, 20)
            for name, test in sorted((n, t) for n, t in globals().items() if n.startswith("test_")):
                if wanted and name[5:7] not in wanted:
                    continue
                try:
                    test(engine)
                    print(f"ok {name}", flush=True)
                except Exception as error:  # a failure must not hide the rest
                    print(f"FAILED {name}: {type(error).__name__} {error}", flush=True)
                    failed += 1
        finally:
            code = engine.stop()
        assert code == 0, f"the engine ended with {code}"
        sys.exit(failed != 0)


if __name__ == "__main__":
    main()
