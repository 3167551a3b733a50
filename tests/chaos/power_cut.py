#!/usr/bin/python3
"""The power is cut under the engine, again and again: what it has acknowledged, and every fire that it has told, is there afterwards.

Usage: power_cut.py --kernel DIR [--rounds N] [--control N] [--seed S] [--bin DIR]
The engine runs in a virtual machine on an ext4 of its own; its clients and its venue run here. kill -9 of the emulator is the power cut: pages that
were not synced are gone with the machine's memory. In the control nothing is synced (power_cut_nosync.c), and something must be lost.

DIR is an unpacked kernel package of Debian:  apt-get download linux-image-<version>-cloud-amd64 && dpkg -x linux-image-*.deb DIR
Needs qemu-system-x86_64, busybox (static), cpio, mke2fs, gcc. Not in CTest: a round takes about 10 s where the emulator has a core. Exit code
77: something that it needs is not here.
"""
import argparse
import gzip
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "failover", "net_failover", "virtio_net"]
SYMBOLS = ["BTCUSD", "ETHUSD"]
INIT = """#!/bin/sh
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mkdir -p /dev/shm /tmp; mount -t tmpfs none /dev/shm
for m in {modules}; do insmod /modules/$m.ko; done
ip link set lo up; ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up; ip route add default via 10.0.2.2
mount -t ext4 /dev/vda /data || echo NO DISK
case $(cat /proc/cmdline) in *nosync*) export LD_PRELOAD=/nosync.so;; esac
/bin/pxengine run --config /engine.yaml
echo ENGINE ENDED $?
sleep 100
"""
CONFIG = """listen: 0.0.0.0:8080
data: /data/engine
log_level: info
limits: {{requests_per_second: 100000, alerts_per_owner: 1000000}}
venues:
  - {{name: venue, dialect: binance, url: "ws://10.0.2.2:{port}"}}
assets:
  - {{symbol: BTC-USD, decimals: 2, size_decimals: 8, sources: {{venue: BTCUSD}}}}
  - {{symbol: ETH-USD, decimals: 2, size_decimals: 8, sources: {{venue: ETHUSD}}}}
"""


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--control", type=int, default=3, help="rounds without sync")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--bin", type=pathlib.Path, default=harness.BIN)
    return parser.parse_args()


# ---- the machine ----

def libraries(program):
    text = subprocess.check_output(["ldd", str(program)], text=True)
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", text)]


def copy_into(root, source, target=None):
    place = root / str(target or source).lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, place)


def make_initramfs(work, options, port):
    root = work / "root"
    for folder in ("proc", "sys", "dev", "data", "bin"):
        (root / folder).mkdir(parents=True)
    busybox = shutil.which("busybox")
    copy_into(root, busybox, "/bin/busybox")
    for applet in ("sh", "mount", "mkdir", "insmod", "ip", "cat", "sleep", "echo"):
        (root / "bin" / applet).symlink_to("busybox")
    copy_into(root, options.bin / "pxengine", "/bin/pxengine")
    for library in libraries(options.bin / "pxengine"):
        copy_into(root, library)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(root / "nosync.so"), str(HERE / "power_cut_nosync.c")], check=True)
    for module in MODULES:
        [file] = options.kernel.rglob(module + ".ko")
        copy_into(root, file, f"/modules/{module}.ko")
    (root / "engine.yaml").write_text(CONFIG.format(port=port))
    (root / "init").write_text(INIT.format(modules=" ".join(MODULES)))
    (root / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(root)) for path in root.rglob("*"))
    packed = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(), stdout=subprocess.PIPE, check=True)
    (work / "initramfs.gz").write_bytes(gzip.compress(packed.stdout, 1))


def make_disk(work, options):
    """An ext4 with an engine's folder in it, and the key to it."""
    data = work / "disk" / "engine"
    data.mkdir(parents=True)
    key = subprocess.check_output([str(options.bin / "pxengine"), "key", "add", "--data", str(data)], text=True).strip()
    disk = work / "disk.img"
    disk.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        file.truncate(512 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(work / "disk"), str(disk)], check=True)
    shutil.rmtree(work / "disk")
    return key


class Machine:
    def __init__(self, work, options, nosync):
        self.port, self.log = harness.free_port(), open(work / "console.log", "wb")
        [kernel] = options.kernel.rglob("vmlinuz-*")
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768", "-nographic", "-no-reboot",
             "-kernel", str(kernel), "-initrd", str(work / "initramfs.gz"),
             "-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on" + (" nosync" if nosync else ""),
             "-drive", f"file={work / 'disk.img'},if=none,id=disk,format=raw,cache=writeback", "-device", "virtio-blk-pci,drive=disk",
             "-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{self.port}-:8080", "-device", "virtio-net-pci,netdev=net,romfile="],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def cut(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def request(self, link, method, path, key, body=None, headers=None):
        """(status, answer); (0, None) when there is none."""
        try:
            link.request(method, path, None if body is None else json.dumps(body), {"X-API-Key": key, "Content-Type": "application/json", **(headers or {})})
            answer = link.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            link.close()
            return 0, None

    def link(self, timeout=5):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def boot(self, or_else=lambda: False):
        link = self.link(3)
        harness.wait_for("the engine in the machine is ready", lambda: self.request(link, "GET", "/readyz", "")[0] == 200 or or_else(), 180, 0.1)
        link.close()


# ---- the clients ----

class Life:
    """What the clients know for sure, over all rounds."""

    def __init__(self):
        self.alerts, self.deleted, self.fires = set(), set(), set()


def clients(machine, key, life, until, dice):
    """Creates, deletes and reads fires until the end; notes only what was answered."""
    link = machine.link()
    mine, since = [], ""
    for turn in itertools.count():
        if time.monotonic() > until or machine.process.poll() is not None:
            return
        body = {"symbol": dice.choice(["BTC-USD", "ETH-USD"]), "frequency": dice.choice(["once", "every_time"]),
                "condition": {"op": dice.choice([">=", "<=", "crossing_up", "crossing_down"]), "level": str(dice.randint(1, 100000))}}
        status, answer = machine.request(link, "POST", "/api/v1/alerts", key, body, {"Idempotency-Key": uuid.uuid4().hex})
        if status == 201:
            life.alerts.add(answer["id"])
            mine.append(answer["id"])
        if turn % 5 == 4 and mine:
            gone = mine.pop(dice.randrange(len(mine)))
            life.alerts.discard(gone)  # from here on it is there or not
            if machine.request(link, "DELETE", f"/api/v1/alerts/{gone}", key)[0] == 204:
                life.deleted.add(gone)
        if turn % 10 == 9:
            status, answer = machine.request(link, "GET", "/api/v1/events?limit=1000" + (f"&since={since}" if since else ""), key)
            if status == 200:
                since = answer["next_since"]
                life.fires.update((e["seq"], e["alert_id"], e["fire"], e["price"]) for e in answer["events"])


def pages(machine, key, path, member):
    rows, cursor, link = [], None, machine.link(20)
    while True:
        status, body = machine.request(link, "GET", path + (f"&cursor={cursor}" if cursor else ""), key)
        assert status == 200, (path, status, body)
        rows += body[member]
        cursor = body.get("next_cursor")
        if not cursor:
            return rows


def events(machine, key):
    rows, since, link = [], "", machine.link(20)
    while True:
        status, body = machine.request(link, "GET", "/api/v1/events?limit=1000" + (f"&since={since}" if since else ""), key)
        assert status == 200, (status, body)
        rows += body["events"]
        since = body["next_since"]
        if not body["more"]:
            return rows


def lost_after_cut(machine, key, life):
    """(alerts, undead, fires, numbers that are not 1..n)."""
    stored = {row["id"] for row in pages(machine, key, "/api/v1/alerts?limit=1000", "alerts")}
    rows = events(machine, key)
    seen = {(e["seq"], e["alert_id"], e["fire"], e["price"]) for e in rows}
    numbers = {}
    for row in rows:
        numbers.setdefault(row["alert_id"], []).append(row["fire"])
    wrong = sum(fires != list(range(1, len(fires) + 1)) for fires in numbers.values())
    result = len(life.alerts - stored), len(life.deleted & stored), len(life.fires - seen), wrong
    life.fires |= seen
    return result


def load(machine, key, life, dice):
    """Clients for a while, and the cut in the middle of what they do."""
    until = time.monotonic() + dice.uniform(1.5, 3.5)
    threads = [threading.Thread(target=clients, args=(machine, key, life, until, random.Random(dice.random()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(max(until - time.monotonic() - 0.2, 0))
    machine.cut()
    for thread in threads:
        thread.join()


def synced(work, options, dice):
    key, life, lost = make_disk(work, options), Life(), [0, 0, 0, 0]
    for number in range(options.rounds + 1):
        began = time.monotonic()
        machine = Machine(work, options, False)
        try:
            machine.boot()
            booted = time.monotonic() - began
            counts = lost_after_cut(machine, key, life)
            if number < options.rounds:
                load(machine, key, life, dice)
        finally:
            machine.cut()
        lost = [a + b for a, b in zip(lost, counts)]
        print(f"synced, after {number} cuts: up in {booted:.1f} s, lost alerts {counts[0]}, undone deletes {counts[1]}, lost fires {counts[2]}, "
              f"wrong numbers {counts[3]}; acknowledged by now {len(life.alerts)} alerts, {len(life.deleted)} deletes, {len(life.fires)} fires", flush=True)
    return lost, life


def unsynced(work, options, dice):
    """A fresh disk for each round; (alerts acknowledged, lost). A store that cannot be opened any more has lost all."""
    key, life, lost = make_disk(work, options), Life(), 0
    machine = Machine(work, options, True)
    try:
        machine.boot()
        load(machine, key, life, dice)
        machine = Machine(work, options, True)
        machine.boot(lambda: "store_failed" in (work / "console.log").read_text(errors="replace"))
        try:
            lost = lost_after_cut(machine, key, life)[0]
        except AssertionError:
            lost = len(life.alerts)
    finally:
        machine.cut()
    print(f"not synced: of {len(life.alerts)} acknowledged alerts {lost} lost", flush=True)
    return len(life.alerts), lost


def main():
    options = options_of()
    for command in ("qemu-system-x86_64", "busybox", "cpio", "mke2fs", "gcc"):
        if not shutil.which(command):
            harness.skip(f"{command} is not installed")
    if not list(options.kernel.rglob("vmlinuz-*")):
        harness.skip(f"no kernel in {options.kernel}")
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="px-power-", dir="/var/tmp") as folder, \
            harness.Venue("--symbols", ",".join(SYMBOLS), "--rate", "20", "--seed", options.seed, "--no-quotes") as venue:
        work = pathlib.Path(folder)
        make_initramfs(work, options, venue.head["port"])
        try:
            lost, life = synced(work, options, dice)
            control = [unsynced(work, options, dice) for _ in range(options.control)]
        except BaseException:
            print((work / "console.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
    print(f"{options.rounds} power cuts: of {len(life.alerts)} acknowledged alerts {lost[0]} lost, of {len(life.deleted)} deletes {lost[1]} undone, "
          f"of {len(life.fires)} fires {lost[2]} lost, {lost[3]} with wrong numbers; {options.control} without sync: of "
          f"{sum(acked for acked, _ in control)} alerts {sum(gone for _, gone in control)} lost")
    assert lost == [0, 0, 0, 0], "something that was acknowledged is lost"
    assert not control or sum(gone for _, gone in control) > 0, "the control lost nothing: this is no power cut"
    print("ok")


if __name__ == "__main__":
    main()
