#!/usr/bin/python3
"""Notifications of a whole engine, into sinks of the test's own: what arrives, how it is signed, what happens when the receiver misbehaves.

Usage: 50_notify_test.py [NUMBER...]   Needs pxengine and pxvenue in $PX_BIN.
"""
import base64
import collections
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import socketserver
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

RECEIPT = "clock: receipt, stale_after: 10s"
NOTIFY = ("limits: {requests_per_second: 100000}\n"
          "notify: {allow_private: [127.0.0.0/8], smtp: {url: \"smtp://127.0.0.1:%d\", from: alerts@example.com},"
          " vapid: {subject: \"mailto:ops@example.com\"}}\n")


class Sink(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Keeps every request; answers what answer(path, earlier requests of this webhook-id) says: a status, or (status, headers)."""
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got, self.lock, self.connections = collections.defaultdict(list), threading.Lock(), 0
        self.answer = lambda path, earlier: 204
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/hook"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def of(self, path):
        with self.lock:
            return list(self.got[path])

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_POST(self):
        at = time.time()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = self.headers.get("webhook-id")
        with self.server.lock:
            earlier = [r for r in self.server.got[self.path] if r["headers"].get("webhook-id") == name]
            self.server.got[self.path].append({"headers": dict((k.lower(), v) for k, v in self.headers.items()), "body": body, "at": at})
        answer = self.server.answer(self.path, earlier)
        if answer is None: # never
            time.sleep(12)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        reply = headers.pop("body", b"")
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *unused):
        pass


class Test:
    def __init__(self):
        self.sink = Sink()
        self.mail_port = harness.free_port()
        self.venue = harness.Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", "200", "--seed", "5")
        self.engine = harness.Engine([f'name: binance, dialect: binance, url: "{self.venue.url}", {RECEIPT}'],
                                     ["symbol: BTC-USDT, decimals: 2, size_decimals: 8, sources: {binance: BTCUSDT}",
                                      "symbol: ETH-USDT, decimals: 2, size_decimals: 8, sources: {binance: ETHUSDT}"],
                                     extra=NOTIFY % self.mail_port)

    def call(self, method, path, body=None, wanted=None, **options):
        status, answer, headers = self.engine.request(method, "/api/v1" + path, body, key=True, **options)
        assert wanted is None or status == wanted, f"{method} {path}: {status} {answer}"
        return answer if wanted else (status, answer)

    def webhook(self, path, **more):
        return self.call("POST", "/channels", {"type": "webhook", "url": self.sink.url(path), **more}, 201)

    def fire(self, channels, **more):
        """An alert that is true already."""
        return self.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": ">=", "level": "0.01"},
                                             "channels": [channel["id"] for channel in channels], **more}, 201)

    def deliveries(self, **filters):
        query = "&".join(f"{key}={value}" for key, value in filters.items())
        return self.engine.pages("/api/v1/deliveries?limit=1000" + ("&" + query if query else ""), "deliveries")

    def delivery_of(self, alert):
        return [d for d in self.deliveries() if d["alert_id"] == alert["id"]][0]

    def whole(self, delivery):
        return self.call("GET", f"/deliveries/{delivery['id']}", wanted=200)

    def until(self, alert, *states, seconds=15):
        return self.whole(harness.wait_for(f"a delivery that is {states}",
                                           lambda: [d for d in self.deliveries() if d["alert_id"] == alert["id"] and d["state"] in states],
                                           seconds)[0])


def check_signature(request, secret):
    head = request["headers"]
    text = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + request["body"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    assert wanted in head["webhook-signature"].split(" "), (wanted, head["webhook-signature"])
    assert abs(time.time() - int(head["webhook-timestamp"])) < 60


def test_01_channels_are_made_changed_and_deleted(test):
    made = test.webhook("/crud", name="ops", ttl="10m", per_minute=30)
    assert made["id"].startswith("ch_") and made["secret"].startswith("whsec_") and made["ttl"] == "600s", made
    seen = test.call("GET", f"/channels/{made['id']}", wanted=200)
    assert "secret" not in seen and seen["name"] == "ops" and seen["enabled"] and seen["version"] == 1, seen
    assert [c["id"] for c in test.call("GET", "/channels", wanted=200)["channels"]] == [made["id"]]
    changed = test.call("PATCH", f"/channels/{made['id']}", {"enabled": False, "name": "x"}, 200, headers={"If-Match": '"1"'})
    assert changed["version"] == 2 and changed["state"] == "paused" and changed["url"] == made["url"], changed
    assert test.call("PATCH", f"/channels/{made['id']}", {"name": "y"}, headers={"If-Match": '"1"'})[0] == 412
    for body in ({}, {"type": "fax"}, {"type": "webhook"}, {"type": "webhook", "url": "ftp://x/"}, {"type": "webhook", "url": "http://u:p@x/"},
                 {"type": "webhook", "url": "http://x/", "ttl": "1d"}, {"type": "email", "to": "a@b\r\nBcc: c@d"},
                 {"type": "email", "to": "a@b,c@d"}, {"type": "webhook", "url": "http://x/", "secret": "whsec_c2hvcnQ="},
                 {"type": "webpush", "subscription": {"endpoint": "https://x/", "keys": {"p256dh": "A", "auth": "B"}}}):
        status, answer = test.call("POST", "/channels", body)
        assert status == 422 and answer["errors"], (body, status, answer)
    status, answer = test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": ">=", "level": "1"}, "channels": ["ch_" + "0" * 26]})
    assert status == 422 and answer["errors"][0]["pointer"] == "/channels/0", answer
    test.call("DELETE", f"/channels/{made['id']}", wanted=204)
    assert test.call("GET", f"/channels/{made['id']}")[0] == 404
    headers = {"Idempotency-Key": "once"}
    one, two = (test.call("POST", "/channels", {"type": "email", "to": "a@b.example"}, 201, headers=headers) for _ in range(2))
    assert one["id"] == two["id"]
    assert test.call("POST", "/channels", {"type": "email", "to": "c@b.example"}, headers=headers)[1]["code"] == "idempotency_conflict"


def test_02_a_fire_arrives_once_and_signed(test):
    channel = test.webhook("/once")
    alert = test.fire([channel], message="up")
    assert alert["channels"] == [channel["id"]]
    done = test.until(alert, "delivered")
    time.sleep(0.5)
    [request] = test.sink.of("/once")
    check_signature(request, channel["secret"])
    body = json.loads(request["body"])
    assert request["headers"]["webhook-id"] == f"ev_{alert['id']}_1" and request["headers"]["content-type"] == "application/json"
    assert body["type"] == "alert.fired" and set(body) == {"type", "timestamp", "data"}, body
    data = body["data"]
    wanted = {"alert_id", "fire", "symbol", "op", "level", "price", "prev", "price_time", "recv_time", "matched_time", "venue", "seq",
              "epoch", "late", "count", "message"}
    assert wanted <= set(data) and data["alert_id"] == alert["id"] and data["symbol"] == "BTC-USDT" and data["message"] == "up", data
    assert data["count"] == 1 and data["venue"] == "binance" and data["fire"] == 1, data
    assert done["attempt_count"] == 1 and done["attempts"][0]["status"] == 204 and done["attempts"][0]["error"] is None, done


TESTS = [value for name, value in sorted(globals().items()) if name.startswith("test_")]


def main():
    wanted = [f"test_{int(number):02}" for number in sys.argv[1:]]
    test = Test()
    try:
        with test.venue, test.engine:
            harness.wait_for("a price", lambda: test.engine.request("GET", "/api/v1/prices/BTC-USDT")[1].get("price"))
            for one in TESTS:
                if wanted and one.__name__[:7] not in wanted:
                    continue
                began = time.monotonic()
                one(test)
                print(f"ok {one.__name__} {time.monotonic() - began:.1f} s", flush=True)
    finally:
        test.sink.shutdown()


if __name__ == "__main__":
    main()
