"""What the tests of notifications stand on: sinks that keep what they get, and an engine with a market of two assets."""
import base64
import collections
import hashlib
import hmac
import http.server
import os
import pathlib
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

RECEIPT = "clock: receipt, stale_after: 10s"
NOTIFY = ("limits: {{requests_per_second: 100000{limits}}}\n"
          "notify: {{allow_private: [127.0.0.0/8], smtp: {{url: \"smtp://127.0.0.1:{mail}\", from: alerts@example.com{smtp}}},"
          " vapid: {{subject: \"mailto:ops@example.com\"}}, ca_file: {ca}{notify}}}\n")


def skip_part(reason):
    """One test cannot run here; where everything has to run, that is a failure."""
    assert os.environ.get("PX_REQUIRE_ALL") != "1", reason
    print(f"skipped: {reason}")


class Sink(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Keeps every request; answers what answer(path, earlier requests of this webhook-id) says: a status, or (status, headers)."""
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.got, self.lock, self.connections = collections.defaultdict(list), threading.Lock(), 0
        self.answer = lambda path, earlier: 204
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path="/hook"):
        return f"{self.scheme}://127.0.0.1:{self.server_port}{path}"

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


def certificate(folder, name):
    """A key and a certificate for 127.0.0.1 that nobody but itself vouches for, in one file."""
    path = pathlib.Path(folder) / name
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{path}.key", "-out", f"{path}.crt"],
                   check=True, capture_output=True)
    path.write_bytes(pathlib.Path(f"{path}.key").read_bytes() + pathlib.Path(f"{path}.crt").read_bytes())
    return path


class Test:
    """`limits`, `smtp` and `notify` are more members for those mappings of the configuration; {password} and {ca} are files."""

    def __init__(self, limits="", smtp="", notify=""):
        self.folder = tempfile.TemporaryDirectory(prefix="px-notify-")
        os.chmod(self.folder.name, 0o755)  # notify may have rights of its own
        self.known, self.unknown = (certificate(self.folder.name, name) for name in ("known", "unknown"))
        self.password = pathlib.Path(self.folder.name) / "password"
        self.password.write_text("secret words\n")
        self.password.chmod(0o600)
        self.sink = Sink()
        self.mail_port = harness.free_port()
        self.venue = harness.Venue("--symbols", "BTCUSDT,ETHUSDT", "--rate", "200", "--seed", "5")
        self.engine = harness.Engine([f'name: binance, dialect: binance, url: "{self.venue.url}", {RECEIPT}'],
                                     ["symbol: BTC-USDT, decimals: 2, size_decimals: 8, sources: {binance: BTCUSDT}",
                                      "symbol: ETH-USDT, decimals: 2, size_decimals: 8, sources: {binance: ETHUSDT}"],
                                     extra=NOTIFY.format(mail=self.mail_port, ca=self.known, limits=limits, notify=notify,
                                                         smtp=smtp.format(password=self.password, ca=self.known)))

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


def run(tests, options=None):
    """Runs those that the command line names, or all, against one engine."""
    wanted = [f"test_{int(number):02}" for number in sys.argv[1:]]
    test = Test(**(options or {}))
    try:
        with test.venue, test.engine:
            harness.wait_for("a price", lambda: test.engine.request("GET", "/api/v1/prices/BTC-USDT")[1].get("price"))
            for one in tests:
                if wanted and one.__name__[:7] not in wanted:
                    continue
                began = time.monotonic()
                test.sink.answer = lambda path, earlier: 204
                one(test)
                print(f"ok {one.__name__} {time.monotonic() - began:.1f} s", flush=True)
    finally:
        test.sink.shutdown()
