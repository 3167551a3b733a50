#!/usr/bin/python3
"""The region and the public socket, as the kernel shows them from outside of a running engine."""
import mmap
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "chaos"))
import fdstore
import harness

ASSETS = ["symbol: A00001-USD, decimals: 8, size_decimals: 8, sources: {venue: A00001USD}"]
VENUES = ["name: venue, dialect: binance, url: \"ws://127.0.0.1:1\""]


def mappings(pid):
    """memfd name -> [(address, protection)] of the region in a process."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"([0-9a-f]+)-\S+ (\S+) .*/memfd:(pxengine\S*) ", line)
        if match:
            found.setdefault(match[3], []).append((match[1], match[2]))
    return found


def descriptors(pid):
    """memfd name -> number of its descriptor."""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        match = re.match(r"/memfd:(pxengine\S*) ", os.readlink(fd))
        if match:
            found[match[1]] = fd
    return found


def each_process_has_its_own_view(engine):
    places = set()
    for role, pids in engine.workers().items():
        for pid in pids:
            found = mappings(pid)
            assert set(found) == {"pxengine", "pxengine-yard"} and all(len(m) == 1 for m in found.values()), (role, found)
            wanted = "r--s" if role in ("web", "notify") else "rw-s"
            assert found["pxengine"][0][1] == wanted, f"{role} has the data {found['pxengine'][0][1]}"
            assert found["pxengine-yard"][0][1] == "rw-s", role
            assert not descriptors(pid), f"{role} has kept {descriptors(pid)}"
            places.add(found["pxengine"][0][0])
    places.add(mappings(engine.process.pid)["pxengine"][0][0])
    assert len(places) >= 4, f"several processes share an address: {places}"


def nobody_else_can_write(engine):
    """Not even with the supervisor's own descriptor."""
    files = descriptors(engine.process.pid)
    data = os.open(files["pxengine"], os.O_RDWR)
    try:
        mmap.mmap(data, 4096)
        raise AssertionError("the data could be mapped writable")
    except PermissionError:
        pass
    seen = mmap.mmap(data, 4096, prot=mmap.PROT_READ)
    assert int.from_bytes(seen[:8], "little") == 0x314D48535850A55A
    seen.close()
    os.close(data)
    yard = os.open(files["pxengine-yard"], os.O_RDWR)
    mmap.mmap(yard, 4096).close()
    try:
        os.ftruncate(yard, 0)
        raise AssertionError("the yard could be cut off")
    except PermissionError:
        pass
    os.close(yard)


def figures(engine):
    metrics = engine.metrics()
    assert metrics["pxengine_region_boots"] == 1
    assert metrics["pxengine_region_bytes"] > 16 << 20
    assert metrics["pxengine_region_locked"] in (0, 1) and metrics["pxengine_region_huge_pages"] in (0, 1)
    assert "pages=" in (engine.folder / "engine.log").read_text()


class Knocker(threading.Thread):
    """Asks for /livez on a new connection each time; none may be refused, all must be answered."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self.engine, self.closing = engine, False
        self.answered, self.refused, self.broken = 0, 0, 0
        self.start()

    def knock(self):
        try:
            with socket.create_connection(("127.0.0.1", self.engine.port), timeout=10) as link:
                link.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if link.recv(12) == b"HTTP/1.1 200":
                    self.answered += 1
                else:
                    self.broken += 1
        except ConnectionRefusedError:
            self.refused += 1
        except OSError: # it was in the hands of the worker that was killed
            self.broken += 1

    def run(self):
        while not self.closing:
            self.knock()


def a_dead_web_worker_refuses_nobody(engine, kills):
    knocker = Knocker(engine)
    for _ in range(kills):
        time.sleep(0.15)
        engine.kill("web")
    time.sleep(0.5)
    harness.wait_for("ready again", engine.is_ready, 20)
    knocker.closing = True
    knocker.join(12)
    assert knocker.refused == 0, f"{knocker.refused} connections refused"
    assert knocker.answered > 20 and knocker.broken <= kills, (knocker.answered, knocker.broken)


def sockets_of(engine):
    return {pid: len([fd for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir() if os.readlink(fd).startswith("socket:")])
            for pid in engine.workers()["web"]}


def several_workers_share_the_socket():
    with harness.Engine(VENUES, ASSETS, workers=3) as engine:
        inodes = set()
        for pid in engine.workers()["web"]:
            listening = [os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()
                         if os.readlink(fd).startswith("socket:")]
            inodes.add(frozenset(listening))
        shared = frozenset.intersection(*inodes)
        assert shared, "the workers have no socket in common"
        before, links = sockets_of(engine), []
        for _ in range(60):
            links.append(socket.create_connection(("127.0.0.1", engine.port)))
            time.sleep(0.002)
        time.sleep(0.2)
        shares = [count - before[pid] for pid, count in sockets_of(engine).items()]
        assert min(shares) >= 6, f"the workers share unfairly: {shares}"
        for link in links:
            link.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert all(link.recv(12) == b"HTTP/1.1 200" for link in links)
        for link in links:
            link.close()
        a_dead_web_worker_refuses_nobody(engine, 3)
        engine.stop()
        try:
            socket.create_connection(("127.0.0.1", engine.port), timeout=2)
            raise AssertionError("somebody still listens")
        except ConnectionRefusedError:
            pass


def run_once(listen):
    with tempfile.TemporaryDirectory(prefix="px-test-") as folder:
        config = pathlib.Path(folder) / "engine.yaml"
        config.write_text(f"listen: {listen}\ndata: {folder}/data\nvenues:\n  - {{{VENUES[0]}}}\nassets:\n  - {{{ASSETS[0]}}}\n")
        done = subprocess.run([str(harness.BIN / "pxengine"), "run", "--config", str(config)], timeout=20, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout


def a_start_that_cannot_listen_says_what_to_do():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = run_once(f"127.0.0.1:{taken.getsockname()[1]}")
        assert code == 1 and "the port is taken" in said and "choose another port" in said, (code, said)
    code, said = run_once("203.0.113.7:8080")
    assert code == 78 and "no interface of this machine" in said, (code, said)
    code, said = run_once("no-such-host.invalid:8080")
    assert code == 78 and ("numeric address" in said or "listen" in said), (code, said)


def a_passed_socket_is_used():
    """With a socket of the service manager no connection is refused while the whole engine is down."""
    manager = fdstore.Manager()
    with socket.socket() as passed:
        passed.bind(("127.0.0.1", 0))
        passed.listen(64)
        engine = fdstore.KeptEngine(manager, VENUES, ASSETS)
        engine.port = passed.getsockname()[1] # not the port of the configuration
        engine.extra = [("pxengine-http", passed.fileno())]
        with engine:
            assert engine.log_lines("listening socket=pxengine-http")
            engine.process.send_signal(signal.SIGKILL)
            engine.process.wait()
            link = socket.create_connection(("127.0.0.1", engine.port), timeout=10)
            link.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            engine.start()
            assert link.recv(12) == b"HTTP/1.1 200"
            link.close()
            assert engine.metrics()["pxengine_region_boots"] == 2
            harness.wait_for("the manager hears of it", lambda: any("READY" in state for state in list(manager.states)), 5)
    manager.close()


def main():
    with harness.Engine(VENUES, ASSETS) as engine:
        each_process_has_its_own_view(engine)
        nobody_else_can_write(engine)
        figures(engine)
        a_dead_web_worker_refuses_nobody(engine, 4)
        each_process_has_its_own_view(engine)
    several_workers_share_the_socket()
    a_start_that_cannot_listen_says_what_to_do()
    a_passed_socket_is_used()
    print("ok")


if __name__ == "__main__":
    main()
