"""What the integration and chaos tests stand on: a venue, an engine with its own data folder, REST and WebSocket clients.

Needs the binaries in $PX_BIN (default build/dev/bin) and python3-websockets. Everything that it starts ends with it.
"""
import asyncio
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("PX_BIN", REPO / "build" / "dev" / "bin"))
RECORDINGS = pathlib.Path(os.environ.get("PX_RECORDINGS", REPO.parent / "shared" / "data"))


def skip(reason):
    """Ends the test as skipped; as failed where everything has to run."""
    print(f"SKIP: {reason}")
    sys.exit(1 if os.environ.get("PX_REQUIRE_ALL") == "1" else 77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, condition, seconds=20.0, pause=0.02):
    """The first true answer of condition(); fails with `what` when there is none in time."""
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Venue:
    """One pxvenue on a port of its own choice."""

    def __init__(self, *options):
        self.process = subprocess.Popen([str(BIN / "pxvenue"), "--port", "0", "--quiet", *map(str, options)],
                                        stdout=subprocess.PIPE, text=True)
        self.head = {}
        while "seed" not in self.head:
            line = self.process.stdout.readline()
            assert line, f"pxvenue ended at start: {options}"
            self.head.update(word.split("=", 1) for word in line.split() if "=" in word)
        self.url = f"ws://127.0.0.1:{self.head['port']}"

    def summary(self):
        self.process.send_signal(signal.SIGTERM)
        text, _ = self.process.communicate(timeout=20)
        line = [line for line in text.splitlines() if line.startswith("summary ")][0]
        return {key: int(value) for key, value in (word.split("=") for word in line.split()[1:])}

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Engine:
    """pxengine on a folder of its own. `venues` and `assets` are lists of YAML flow mappings in text."""

    def __init__(self, venues, assets, folder=None, workers=1, extra=""):
        self.temporary = None if folder else tempfile.TemporaryDirectory(prefix="px-test-")
        self.folder = pathlib.Path(folder or self.temporary.name)
        self.port = free_port()
        self.config = self.folder / "engine.yaml"
        self.config.write_text(f"listen: 127.0.0.1:{self.port}\ndata: {self.folder}/data\nlog_level: info\n"
                               f"web_workers: {workers}\n{extra}venues:\n"
                               + "".join(f"  - {{{venue}}}\n" for venue in venues)
                               + "assets:\n" + "".join(f"  - {{{asset}}}\n" for asset in assets))
        self.log = open(self.folder / "engine.log", "ab")
        self.process = None
        (self.folder / "data").mkdir(exist_ok=True)
        self.key = subprocess.check_output([str(BIN / "pxengine"), "key", "add", "--data", str(self.folder / "data")],
                                           text=True).strip()

    def start(self):
        self.process = subprocess.Popen([str(BIN / "pxengine"), "run", "--config", str(self.config)],
                                        stdout=self.log, stderr=self.log)
        wait_for("the engine is ready", self.is_ready, 60)
        return self

    def is_ready(self):
        assert self.process.poll() is None, f"the engine ended with {self.process.returncode}: {self.tail()}"
        try:
            return self.request("GET", "/readyz", raw=True)[0] == 200
        except OSError:
            return False

    def tail(self):
        return (self.folder / "engine.log").read_text(errors="replace")[-3000:]

    def stop(self, sig=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(timeout=30)
        return self.process.returncode if self.process else None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print("---- the end of the engine's log ----\n" + self.tail(), file=sys.stderr)
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.log.close()
            if self.temporary:
                self.temporary.cleanup()

    # ---- its processes ----

    def workers(self):
        """role -> list of pids, by the titles of the supervisor's children."""
        roles = {}
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children:
            try:
                title = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
            except OSError:
                continue
            if title.startswith("pxengine: "):
                roles.setdefault(title.split()[1], []).append(int(pid))
        return roles

    def kill(self, role):
        """kill -9 of one worker of the role; returns its pid."""
        pid = wait_for(f"a {role}", lambda: self.workers().get(role))[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    # ---- REST ----

    def request(self, method, path, body=None, key=None, headers=None, raw=False, timeout=10):
        """(status, parsed JSON or text, headers). `key` True: the engine's own. Does not raise for 4xx and 5xx."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if key:
            request.add_header("X-API-Key", self.key if key is True else key)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, text, got = answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                status, text, got = error.code, error.read(), error.headers
        return status, text.decode() if raw else json.loads(text or b"null"), got

    def get(self, path, **options):
        status, body, _ = self.request("GET", path, **options)
        assert status == 200, f"{path}: {status} {body}"
        return body

    def pages(self, path, member):
        """All rows of a paged list: `member` names them."""
        rows, cursor = [], None
        while True:
            glue = "&" if "?" in path else "?"
            body = self.get(path + (f"{glue}cursor={cursor}" if cursor else ""), key=True)
            rows += body[member]
            cursor = body.get("next_cursor")
            if not cursor:
                return rows

    def events(self):
        """All durable fires of the engine's own key."""
        rows, since = [], ""
        while True:
            body = self.get("/api/v1/events?limit=1000" + (f"&since={since}" if since else ""), key=True)
            rows += body["events"]
            since = body["next_since"]
            if not body["more"]:
                return rows

    def metrics(self):
        """name -> value, over all labels added up."""
        values = {}
        for line in self.request("GET", "/metrics", raw=True)[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                name = name.split("{")[0]
                values[name] = values.get(name, 0.0) + float(value)
        return values


class Listener(threading.Thread):
    """A WebSocket client that notes every frame; reconnects and subscribes again until closed."""

    def __init__(self, engine, says, path="/ws/v1"):
        super().__init__(daemon=True)
        self.engine, self.says, self.path = engine, says, path
        self.frames, self.connections, self.closing = [], 0, False
        self.start()

    def run(self):
        asyncio.run(self.listen())

    async def listen(self):
        import websockets
        while not self.closing:
            try:
                async with websockets.connect(f"ws://127.0.0.1:{self.engine.port}{self.path}", max_size=None,
                                              max_queue=None, compression=None) as link:
                    self.connections += 1
                    for message in self.says(self) if callable(self.says) else self.says:
                        await link.send(json.dumps(message))
                    while not self.closing:
                        try:
                            text = await asyncio.wait_for(link.recv(), 0.2)
                        except asyncio.TimeoutError:
                            continue
                        frame = json.loads(text)
                        frame["at"] = time.time()
                        self.frames.append(frame)
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.05)

    def data(self, channel):
        """The data items of all frames of a channel, in order."""
        return [item for frame in list(self.frames) if frame.get("channel") == channel for item in frame.get("data", [])]

    def close(self):
        self.closing = True
        self.join(5)
