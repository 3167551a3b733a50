"""One peer of history.sh: the same ticks into it, its bytes on disk, the same charts out of it.

Usage: history_peers.py PEER TICKS MINUTES FOLDER. Prints one line of JSON. Processor time is that of the database: of this process where
it is a library, else of its server. Each gets its best known form: integers, its best codecs, ticks in the order of time that they come
in (`bulk`: in one go, and
`settled`: until it has the form that bytes and charts are of; `live`: a thousand a transaction, durable), and the chart's query answered in the form that it hands out fastest.
"""
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history_ticks import DAY_US, MINUTE, TICK
from link import percentile

BATCH = 1000
HZ = os.sysconf("SC_CLK_TCK")


def own_cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def tree_cpu(pid):
    """Of a server and of the children that it has or had."""
    total = 0.0
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    total += sum(map(int, fields[11:15])) / HZ
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            fields = pathlib.Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:13])) / HZ
        except OSError:
            pass
    return total


def folder_bytes(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*") if path.is_file())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class DuckDB:
    """In this process; the rows are in its memory before the clock starts."""
    live_batches = 200

    def __init__(self, folder):
        import duckdb
        self.name, self.path = f"duckdb {duckdb.__version__}", f"{folder}/ticks.duckdb"
        self.db = duckdb.connect(self.path)
        self.cpu = own_cpu

    @staticmethod
    def arrow(rows):
        import pyarrow
        return pyarrow.table({name: numpy.ascontiguousarray(rows[name]) for name in rows.dtype.names if name != "zero"})

    def create(self):
        self.db.execute("CREATE TABLE ticks (asset UINTEGER, time BIGINT, price BIGINT)")

    def prepare(self, ticks):
        return self.arrow(ticks)

    def put(self, rows):
        self.db.execute("INSERT INTO ticks SELECT asset, time, price FROM rows")

    def settle(self):
        """Sorted by asset, which makes it four times smaller and its charts twice as fast."""
        self.db.execute("CREATE TABLE sorted AS SELECT * FROM ticks ORDER BY asset, time; DROP TABLE ticks; ALTER TABLE sorted RENAME TO ticks")

    def size(self):
        self.db.execute(f"ATTACH '{self.path}.small' AS small; CREATE TABLE small.ticks AS SELECT * FROM ticks; CHECKPOINT small; DETACH small")
        return os.path.getsize(self.path + ".small")

    def put_minutes(self, minutes):
        rows = self.arrow(minutes)
        self.db.execute("CREATE TABLE minutes AS SELECT asset, time, open, high, low, close FROM rows ORDER BY asset, time; CHECKPOINT")

    def day(self, asset, start, end):
        return self.db.execute(
            "SELECT time // 60000000 m, arg_min(price, time), max(price), min(price), arg_max(price, time), count(*) FROM ticks "
            f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY m ORDER BY m").fetchnumpy()["m"].size

    def month(self, asset, start, end):
        return self.db.execute(
            "SELECT time // 3600000000 h, arg_min(open, time), max(high), min(low), arg_max(close, time) FROM minutes "
            f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY h ORDER BY h LIMIT 500").fetchnumpy()["h"].size

    def close(self):
        self.db.close()


class ClickHouse:
    """chdb, in this process; it reads rows as it stores them from a file in memory."""
    live_batches = 200

    def __init__(self, folder):
        import chdb
        from chdb import session
        self.session = session.Session(f"{folder}/data")
        self.name = "clickhouse " + str(self.session.query("SELECT version()", "TSV")).strip()
        self.folder, self.cpu = folder, own_cpu

    def create(self):
        self.session.query("CREATE DATABASE b; CREATE TABLE b.ticks (asset UInt32 CODEC(ZSTD(3)), time Int64 CODEC(DoubleDelta, ZSTD(3)), "
                           "price Int64 CODEC(Delta, ZSTD(3))) ENGINE = MergeTree ORDER BY (asset, time)")

    def prepare(self, ticks):
        path = f"/dev/shm/px-history-{os.getpid()}.bin"
        rows = numpy.zeros(len(ticks), numpy.dtype([("asset", "<u4"), ("time", "<i8"), ("price", "<i8")]))
        for name in rows.dtype.names:
            rows[name] = ticks[name]
        rows.tofile(path)
        return path

    def put(self, path):
        self.session.query(f"INSERT INTO b.ticks SELECT * FROM file('{path}', 'RowBinary', 'asset UInt32, time Int64, price Int64')")
        os.unlink(path)

    def settle(self):
        self.session.query("OPTIMIZE TABLE b.ticks FINAL")

    def size(self):
        return int(str(self.session.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'ticks'", "TSV")))

    def put_minutes(self, minutes):
        path = f"/dev/shm/px-history-{os.getpid()}.bin"
        names = ["asset", "time", "open", "high", "low", "close"]
        rows = numpy.zeros(len(minutes), numpy.dtype([("asset", "<u4")] + [(name, "<i8") for name in names[1:]]))
        for name in names:
            rows[name] = minutes[name]
        rows.tofile(path)
        columns = "asset UInt32, " + ", ".join(f"{name} Int64" for name in names[1:])
        self.session.query(f"CREATE TABLE b.minutes ({columns}) ENGINE = MergeTree ORDER BY (asset, time)")
        self.session.query(f"INSERT INTO b.minutes SELECT * FROM file('{path}', 'RowBinary', '{columns}')")
        self.session.query("OPTIMIZE TABLE b.minutes FINAL")
        os.unlink(path)

    def day(self, asset, start, end):
        return self.session.query(
            "SELECT intDiv(time, 60000000) m, argMin(price, time), max(price), min(price), argMax(price, time), count() FROM b.ticks "
            f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY m ORDER BY m", "RowBinary").size() // 48

    def month(self, asset, start, end):
        return self.session.query(
            "SELECT intDiv(time, 3600000000) h, argMin(open, time), max(high), min(low), argMax(close, time) FROM b.minutes "
            f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY h ORDER BY h LIMIT 500", "RowBinary").size() // 40

    def close(self):
        self.session.close()


class Postgres:
    """A server of its own on a unix socket, COPY in binary, a B-tree over asset and time, fsync as it comes."""
    live_batches = 400
    preload = []

    def __init__(self, folder):
        import psycopg2
        bins = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.data, who = f"{folder}/data", {}
        if os.getuid() == 0:
            import pwd
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            who = {"user": user.pw_uid, "group": user.pw_gid, "cwd": folder}
        subprocess.run([bins / "initdb", "-D", self.data, "-A", "trust", "-U", "bench"], check=True, stdout=subprocess.DEVNULL, **who)
        self.server = subprocess.Popen([bins / "postgres", "-D", self.data, "-k", folder, "-c", "listen_addresses=", "-c", "shared_buffers=512MB",
                                        "-c", "max_wal_size=4GB", "-c", "jit=off", *self.preload], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)
        for _ in range(300):
            try:
                self.db = psycopg2.connect(host=folder, user="bench", dbname="postgres")
                break
            except psycopg2.OperationalError:
                time.sleep(0.1)
        self.name = f"postgresql {self.db.server_version // 10000}"
        self.cpu = lambda: tree_cpu(self.server.pid)

    def create(self):
        cursor = self.db.cursor()
        cursor.execute("CREATE TABLE ticks (asset int, time bigint, price bigint); CREATE INDEX ON ticks (asset, time)")
        self.db.commit()

    def prepare(self, ticks):
        """PostgreSQL's binary COPY: a head, then 3 fields with their lengths a row."""
        row = numpy.dtype([("n", ">i2"), ("l1", ">i4"), ("asset", ">i4"), ("l2", ">i4"), ("time", ">i8"), ("l3", ">i4"), ("price", ">i8")])
        rows = numpy.zeros(len(ticks), row)
        rows["n"], rows["l1"], rows["l2"], rows["l3"] = 3, 4, 8, 8
        for name in ("asset", "time", "price"):
            rows[name] = ticks[name]
        return b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"

    def put(self, data):
        import io
        self.db.cursor().copy_expert("COPY ticks FROM STDIN (FORMAT binary)", io.BytesIO(data), size=1 << 20)
        self.db.commit()

    def settle(self):
        self.db.autocommit = True
        cursor = self.db.cursor()
        cursor.execute("VACUUM ANALYZE ticks")
        cursor.execute("CHECKPOINT")

    def size(self):
        cursor = self.db.cursor()
        cursor.execute("SELECT pg_total_relation_size('ticks')")
        return cursor.fetchone()[0]

    def put_minutes(self, minutes):
        import io
        lines = "\n".join("\t".join(map(str, row)) for row in minutes[["asset", "time", "open", "high", "low", "close"]].tolist())
        cursor = self.db.cursor()
        cursor.execute("CREATE TABLE minutes (asset int, time bigint, open bigint, high bigint, low bigint, close bigint)")
        cursor.copy_expert("COPY minutes FROM STDIN", io.StringIO(lines))
        cursor.execute("CREATE INDEX ON minutes (asset, time)")
        cursor.execute("CLUSTER minutes USING minutes_asset_time_idx")
        cursor.execute("VACUUM ANALYZE minutes")

    def ask(self, text):
        cursor = self.db.cursor()
        cursor.execute(text)
        return len(cursor.fetchall())

    def day(self, asset, start, end):
        return self.ask("SELECT time / 60000000 m, (array_agg(price ORDER BY time))[1], max(price), min(price), (array_agg(price ORDER BY time DESC))[1], "
                        f"count(*) FROM ticks WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY m ORDER BY m")

    def month(self, asset, start, end):
        return self.ask("SELECT time / 3600000000 h, (array_agg(open ORDER BY time))[1], max(high), min(low), (array_agg(close ORDER BY time DESC))[1] "
                        f"FROM minutes WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY h ORDER BY h LIMIT 500")

    def close(self):
        self.db.close()
        self.server.send_signal(signal.SIGINT)
        self.server.wait(30)


class Timescale(Postgres):
    """PostgreSQL with the extension, where the server has it: a chunk a day, compressed by asset once it is settled."""

    def __init__(self, folder):
        self.preload = ["-c", "shared_preload_libraries=timescaledb", "-c", "timescaledb.telemetry_level=off", "-c", "max_worker_processes=16"]
        super().__init__(folder)
        self.run("CREATE EXTENSION timescaledb")
        cursor = self.db.cursor()
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        self.name = f"timescaledb {cursor.fetchone()[0]}"
        self.db.commit()

    def run(self, text):
        self.db.cursor().execute(text)
        self.db.commit()

    def create(self):
        self.run("CREATE TABLE ticks (asset int NOT NULL, time bigint NOT NULL, price bigint NOT NULL)")
        self.run(f"SELECT create_hypertable('ticks', 'time', chunk_time_interval => {DAY_US}, create_default_indexes => false)")
        self.run("CREATE INDEX ON ticks (asset, time)")
        self.run("ALTER TABLE ticks SET (timescaledb.compress, timescaledb.compress_segmentby = 'asset', timescaledb.compress_orderby = 'time')")

    def settle(self):
        self.run("SELECT compress_chunk(c) FROM show_chunks('ticks') c")
        self.db.autocommit = True
        self.db.cursor().execute("VACUUM ANALYZE ticks")
        self.db.cursor().execute("CHECKPOINT")

    def size(self):
        cursor = self.db.cursor()
        cursor.execute("SELECT hypertable_size('ticks')")
        return cursor.fetchone()[0]

    def put_minutes(self, minutes):
        import io
        lines = "\n".join("\t".join(map(str, row)) for row in minutes[["asset", "time", "open", "high", "low", "close"]].tolist())
        cursor = self.db.cursor()
        cursor.execute("CREATE TABLE minutes (asset int NOT NULL, time bigint NOT NULL, open bigint, high bigint, low bigint, close bigint)")
        cursor.execute(f"SELECT create_hypertable('minutes', 'time', chunk_time_interval => {DAY_US * 32}, create_default_indexes => false)")
        cursor.copy_expert("COPY minutes FROM STDIN", io.StringIO(lines))
        cursor.execute("CREATE INDEX ON minutes (asset, time)")
        cursor.execute("ALTER TABLE minutes SET (timescaledb.compress, timescaledb.compress_segmentby = 'asset', timescaledb.compress_orderby = 'time')")
        cursor.execute("SELECT compress_chunk(c) FROM show_chunks('minutes') c")
        cursor.execute("VACUUM ANALYZE minutes")

    def day(self, asset, start, end):
        return self.ask("SELECT time_bucket(60000000::bigint, time) m, first(price, time), max(price), min(price), last(price, time), count(*) FROM ticks "
                        f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY m ORDER BY m")

    def month(self, asset, start, end):
        return self.ask("SELECT time_bucket(3600000000::bigint, time) h, first(open, time), max(high), min(low), last(close, time) FROM minutes "
                        f"WHERE asset = {asset} AND time >= {start} AND time < {end} GROUP BY h ORDER BY h LIMIT 500")


class RedisStreams:
    """A stream an asset, over a unix socket, pipelined; its log is synced every second. It knows no candles: a chart is all of its ticks,
    handed out and not made into anything. Bytes are those of its memory."""
    live_batches = 400

    def __init__(self, folder):
        self.path = f"{folder}/redis.sock"
        self.server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", folder, "--save", "", "--appendonly", "yes",
                                        "--appendfsync", "everysec"], stdout=subprocess.DEVNULL)
        self.link = socket.socket(socket.AF_UNIX)
        for _ in range(300):
            try:
                self.link.connect(self.path)
                break
            except OSError:
                time.sleep(0.1)
        version = subprocess.check_output(["redis-server", "--version"], text=True).split("v=")[1].split()[0]
        self.name, self.cpu = f"redis streams {version}", lambda: tree_cpu(self.server.pid)
        self.empty = self.memory()

    def call(self, data, answers):
        """Sends commands and reads so many answers of one line and a value."""
        import threading
        sender = threading.Thread(target=self.link.sendall, args=(data,))
        sender.start()
        lines = 0
        while lines < 2 * answers:
            lines += self.link.recv(1 << 20).count(b"\n")
        sender.join()

    def memory(self):
        self.link.sendall(b"INFO memory\r\n")
        data = b""
        while b"used_memory:" not in data or not data.endswith(b"\r\n"):
            data += self.link.recv(1 << 16)
        return int(data.partition(b"used_memory:")[2].split()[0])

    def create(self):
        pass

    @staticmethod
    def command(*words):
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def prepare(self, ticks):
        rows = zip(ticks["asset"].tolist(), ticks["time"].tolist(), ticks["price"].tolist())
        return b"".join(self.command(b"XADD", b"t:%d" % a, b"%d-*" % t, b"p", b"%d" % p) for a, t, p in rows), len(ticks)

    def put(self, data):
        self.call(*data)

    def settle(self):
        pass

    def size(self):
        return self.memory() - self.empty

    def put_minutes(self, minutes):
        rows = minutes[["asset", "time", "open", "high", "low", "close"]].tolist()
        for at in range(0, len(rows), 10000):
            part = rows[at:at + 10000]
            self.call(b"".join(self.command(b"XADD", b"m:%d" % a, b"%d-*" % t, b"o", b"%d" % o, b"h", b"%d" % h, b"l", b"%d" % l, b"c", b"%d" % c)
                               for a, t, o, h, l, c in part), len(part))

    def read(self, key, start, end):
        self.link.sendall(self.command(b"XRANGE", key, b"%d" % start, b"%d" % (end - 1)) + b"PING\r\n")
        data = [self.link.recv(1 << 20)]
        while not (b"".join(data[-2:])).endswith(b"+PONG\r\n"):
            data.append(self.link.recv(1 << 20))
        return int(data[0][1:data[0].index(b"\r")])

    def day(self, asset, start, end):
        return self.read(b"t:%d" % asset, start, end)

    def month(self, asset, start, end):
        return self.read(b"m:%d" % asset, start, end)

    def close(self):
        self.link.close()
        self.server.terminate()
        self.server.wait(30)


class Influx:
    """InfluxDB 1.6 over HTTP, ten thousand lines a request; its log is synced every 100 ms, as ours is."""
    live_batches = 400

    def __init__(self, folder):
        self.port, rpc = free_port(), free_port()
        self.folder = folder
        pathlib.Path(f"{folder}/influx.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\n'
            f'wal-dir = "{folder}/wal"\nwal-fsync-delay = "100ms"\nquery-log-enabled = false\ncache-snapshot-write-cold-duration = "1s"\n'
            f'compact-full-write-cold-duration = "2s"\n[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n'
            'max-body-size = 0\n[monitor]\nstore-enabled = false\n')
        self.server = subprocess.Popen(["/usr/bin/influxd", "-config", f"{folder}/influx.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                self.send("query?q=CREATE+DATABASE+b", b"")
                break
            except OSError:
                time.sleep(0.1)
        self.name, self.cpu = "influxdb 1.6", lambda: tree_cpu(self.server.pid)

    def send(self, path, body):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}", data=body, timeout=120) as answer:
            return answer.read()

    def create(self):
        pass

    def prepare(self, ticks):
        parts = []
        for at in range(0, len(ticks), 10000):
            part = ticks[at:at + 10000]
            parts.append("\n".join(f"t,a={a} p={p}i {t}" for a, t, p in zip(part["asset"].tolist(), part["time"].tolist(), part["price"].tolist())).encode())
        return parts

    def put(self, parts):
        for part in parts:
            self.send("write?db=b&precision=u", part)

    def settle(self):
        """Until its log is empty and its files rest."""
        before, same, until = -1, 0, time.monotonic() + 150
        while same < 5 and time.monotonic() < until:
            time.sleep(2)
            now = folder_bytes(f"{self.folder}/data")
            same = same + 1 if now == before and folder_bytes(f"{self.folder}/wal") < 100_000 else 0
            before = now

    def size(self):
        tables = sum(path.stat().st_size for path in pathlib.Path(f"{self.folder}/data").rglob("*.tsm"))
        return tables + folder_bytes(f"{self.folder}/wal") # without its series file, which takes 32 MB at once

    def put_minutes(self, minutes):
        for at in range(0, len(minutes), 10000):
            part = minutes[at:at + 10000][["asset", "open", "high", "low", "close", "time"]].tolist()
            self.send("write?db=b&precision=u", "\n".join("m,a={} o={}i,h={}i,l={}i,c={}i {}".format(*row) for row in part).encode())

    def ask(self, text):
        import urllib.parse
        body = self.send("query?" + urllib.parse.urlencode({"db": "b", "epoch": "u", "q": text}), b"")
        return body.count(b"],[") + 1

    def day(self, asset, start, end):
        return self.ask(f"SELECT first(p), max(p), min(p), last(p), count(p) FROM t WHERE a = '{asset}' AND time >= {start}u AND time < {end}u GROUP BY time(1m) fill(none)")

    def month(self, asset, start, end):
        return self.ask(f"SELECT first(o), max(h), min(l), last(c) FROM m WHERE a = '{asset}' AND time >= {start}u AND time < {end}u GROUP BY time(1h) fill(none) LIMIT 500")

    def close(self):
        self.server.terminate()
        self.server.wait(30)


PEERS = {"duckdb": DuckDB, "clickhouse": ClickHouse, "postgresql": Postgres, "timescaledb": Timescale, "redis": RedisStreams, "influxdb": Influx}


def spent(peer, work):
    cpu, wall = peer.cpu(), time.monotonic()
    work()
    return peer.cpu() - cpu, time.monotonic() - wall


def asked(work, assets, rounds, seconds=8.0):
    took, until = [], time.monotonic() + seconds
    for i in range(rounds):
        began = time.perf_counter()
        rows = work(i * 7919 % assets)
        took.append((time.perf_counter() - began) * 1e3)
        assert rows > 0
        if time.monotonic() > until and len(took) >= 20:
            break
    return {"p50_ms": percentile(took[1:], .5), "p99_ms": percentile(took[1:], .99), "rounds": len(took)}


def main():
    name, ticks, minutes, folder = sys.argv[1:]
    ticks, minutes = numpy.memmap(ticks, TICK, "r"), numpy.memmap(minutes, MINUTE, "r")
    peer = PEERS[name](folder)
    peer.create()
    live = min(peer.live_batches, len(ticks) // BATCH // 4)
    batches = [peer.prepare(ticks[i * BATCH:(i + 1) * BATCH]) for i in range(live)] if name != "clickhouse" else None
    def put_live():
        for i in range(live):
            peer.put(batches[i] if batches else peer.prepare(ticks[i * BATCH:(i + 1) * BATCH]))
    live_cpu, live_wall = spent(peer, put_live)
    rest = peer.prepare(ticks[live * BATCH:])
    bulk_cpu, bulk_wall = spent(peer, lambda: peer.put(rest))
    count = len(ticks) - live * BATCH
    settle_cpu, _ = spent(peer, peer.settle)
    size = peer.size()
    peer.put_minutes(minutes)
    day = int(ticks["time"][-1]) // DAY_US * DAY_US
    start, end = int(minutes["time"][0]), int(minutes["time"][-1]) + 60_000_000
    answer = {"peer": name, "name": peer.name, "ticks": len(ticks), "bytes_per_tick": size / len(ticks),
              "live_per_cpu_s": live * BATCH / live_cpu, "live_per_s": live * BATCH / live_wall,
              "bulk_per_cpu_s": count / bulk_cpu, "bulk_per_s": count / bulk_wall,
              "settled_per_cpu_s": len(ticks) / (bulk_cpu * len(ticks) / count + settle_cpu),
              "day": asked(lambda asset: peer.day(asset, day, day + DAY_US), int(ticks["asset"].max()) + 1, 200),
              "month": asked(lambda asset: peer.month(asset, start, end), int(minutes["asset"].max()) + 1, 200)}
    peer.close()
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
