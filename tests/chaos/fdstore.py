"""A service manager of a few lines: keeps the descriptors that a service asks it to keep, and passes them on to the next start.

It speaks sd_notify(3) and sd_listen_fds(3), as far as pxengine does.
"""
import array
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

import harness

# Puts the descriptors where the next program looks for them: from 3 on.
LAUNCHER = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 101) for fd in fds]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(len(fds))
os.environ["LISTEN_FDNAMES"] = sys.argv[2]
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager(threading.Thread):
    """The store: (name, descriptor), the last first; states: what the service has said. With keeps_all it removes nothing."""

    def __init__(self):
        super().__init__(daemon=True)
        self.folder = tempfile.TemporaryDirectory(prefix="px-manager-")
        self.path = str(pathlib.Path(self.folder.name) / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.store, self.states, self.closing, self.keeps_all = [], [], False, False
        self.start()

    def run(self):
        self.socket.settimeout(0.1)
        while not self.closing:
            try:
                text, fds, _, _ = socket.recv_fds(self.socket, 4096, 16)
            except (TimeoutError, OSError):
                continue
            fields = dict(line.split("=", 1) for line in text.decode().splitlines())
            self.states.append(fields)
            name = fields.get("FDNAME", "stored")
            if "FDSTOREREMOVE" in fields:
                if self.keeps_all:
                    continue
                gone = [fd for n, fd in self.store if n == name]
                self.store = [(n, fd) for n, fd in self.store if n != name]
                for fd in gone:
                    os.close(fd)
            elif "FDSTORE" in fields:
                self.store = [(name, fd) for fd in fds] + self.store # the last first, as systemd does

    def launch(self, command, extra=(), **options):
        """Starts the service with everything in the store, and `extra` (name, descriptor) before it."""
        files = list(extra) + list(self.store)
        return subprocess.Popen([sys.executable, "-c", LAUNCHER, ",".join(str(fd) for _, fd in files),
                                 ":".join(name for name, _ in files), *command],
                                pass_fds=[fd for _, fd in files], env={**os.environ, "NOTIFY_SOCKET": self.path}, **options)

    def names(self):
        return [name for name, _ in self.store]

    def empty(self):
        for _, fd in self.store:
            os.close(fd)
        self.store = []

    def close(self):
        self.closing = True
        self.join(5)
        self.empty()
        self.socket.close()
        self.folder.cleanup()


class KeptEngine(harness.Engine):
    """An engine under a manager. kill() of the supervisor is os.kill(engine.process.pid, 9)."""

    def __init__(self, manager, *args, **options):
        super().__init__(*args, **options)
        self.manager, self.extra = manager, []

    def start(self, wait=True):
        self.process = self.manager.launch([str(harness.BIN / "pxengine"), "run", "--config", str(self.config)], self.extra,
                                           stdout=self.log, stderr=self.log)
        if wait:
            harness.wait_for("the engine is ready", self.is_ready, 60)
        return self

    def log_lines(self, what):
        return [line for line in (self.folder / "engine.log").read_text(errors="replace").splitlines() if what in line]
