#!/usr/bin/python3
"""A flipped byte on the disk is told, in the log and in /metrics, and costs the block that it is in and nothing else."""
import importlib.util
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

spec = importlib.util.spec_from_file_location("history", pathlib.Path(__file__).with_name("60_history_test.py"))
history = importlib.util.module_from_spec(spec)
spec.loader.exec_module(history)

S, ROWS = 10**9, 60000


def ticks(engine):
    return [tick["price"] for tick in history.ticks(engine)]


def main():
    feed = history.Feed()
    engine = harness.Engine([f"name: feed, dialect: binance, url: \"ws://127.0.0.1:{feed.port}\""], [history.ASSET],
                            extra="limits: {requests_per_second: 100000}\n")
    data = engine.folder / "data"
    admin = subprocess.check_output([harness.BIN / "pxengine", "key", "add", "--data", data, "--scopes", "prices:read,admin"],
                                    text=True).strip()
    lines = ["time,price,size"]
    begin = (int(time.time()) // 86400 - 3) * 86400
    dice = random.Random(3)  # sizes that take room: the trades' file is then the largest
    for i in range(ROWS):
        lines.append(f"{(begin + i) * 1000},{i // 100 + 1}.{i % 100:02d},0.{dice.randrange(10000):04d}")
    (engine.folder / "ticks.csv").write_text("\n".join(lines) + "\n")
    engine.log.close()
    engine.log = open(engine.folder / "engine.log", "ab")
    with engine:
        subprocess.check_call([harness.BIN / "pxctl", "--url", f"http://127.0.0.1:{engine.port}", "--key", admin, "import", "ticks",
                               engine.folder / "ticks.csv", "--symbol", "BTC-USD"])
        whole = ticks(engine)
        assert len(whole) == ROWS
        assert engine.metrics()["pxengine_history_damaged_rows"] == 0
        engine.stop()
        subprocess.check_call([harness.BIN / "history_store", data])  # puts what stands in the log of writes into files
        file = max((data / "hist").glob("*.sst"), key=lambda path: path.stat().st_size)
        bytes_ = bytearray(file.read_bytes())
        bytes_[len(bytes_) // 3] ^= 0x10
        file.write_bytes(bytes_)
        engine.start()
        harness.wait_for("a keeper", lambda: engine.request("GET", "/api/v1/ticks/BTC-USD?limit=1")[0] == 200, 30)
        left = ticks(engine)
        assert ROWS - 600 <= len(left) < ROWS, len(left)
        known = iter(whole)
        assert all(price in known for price in left), "what is left is not what there was"
        kept = set(left)
        gone = [i for i, price in enumerate(whole) if price not in kept]
        assert gone == list(range(gone[0], gone[0] + len(gone))), "one block, and it alone"
        harness.wait_for("the metric", lambda: engine.metrics()["pxengine_history_damaged_rows"] > 0, 30, 0.3)
        assert "history_damaged what=trades" in (engine.folder / "engine.log").read_text()
        print(f"ok {len(gone)} of {ROWS} trades are gone with their block, and it is told")


if __name__ == "__main__":
    main()
