#!/usr/bin/env python3
"""Counts trades and quotes per symbol in recorded WebSocket traffic with Python's json, independently of feed/.

Usage: count_recording.py DATA_FOLDER > tests/golden/dialects_counts.txt

One line a recording, kind and symbol:  FILE KIND SYMBOL COUNT LAST  (LAST: price of a trade; bid/ask of a quote),
and one line a recording:               FILE frames COUNT
"""
import gzip
import json
import os
import re
import sys

RECEIVED = re.compile(r"^\d+(\.\d+)?: ")
BINANCE_GZ = ("btcusdt_20240808.gz", "ethusdt_20240808.gz")


def binance(message):
    data = message.get("data", message)
    if data.get("e") in ("trade", "aggTrade"):
        yield "trade", data["s"], data["p"]
    elif data.get("e") == "bookTicker" or {"s", "b", "B", "a", "A"} <= set(data):
        yield "quote", data["s"], data["b"] + "/" + data["a"]


def coinbase(message):
    if message["type"] in ("match", "last_match"):
        yield "trade", message["product_id"], message["price"]
    elif message["type"] == "ticker":
        yield "quote", message["product_id"], message["best_bid"] + "/" + message["best_ask"]


def kraken(message):
    if not isinstance(message, list):
        return
    if message[-2] == "trade":
        for trade in message[1]:
            yield "trade", message[-1], trade[0]
    elif message[-2] == "ticker":
        yield "quote", message[-1], message[1]["b"][0] + "/" + message[1]["a"][0]


def frames_of(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt") as lines:
        for line in lines:
            line = line.rstrip("\n")
            if path.endswith(".gz"):
                yield line.partition(" ")[2]
            elif RECEIVED.match(line):
                yield line.partition(": ")[2]


def count(path, dialect):
    name = os.path.basename(path)
    seen, frames = {}, 0
    for text in frames_of(path):
        frames += 1
        for kind, symbol, last in dialect(json.loads(text)):
            seen[kind, symbol] = (seen.get((kind, symbol), (0, ""))[0] + 1, last)
    print(name, "frames", frames)
    for (kind, symbol), (number, last) in sorted(seen.items()):
        print(name, kind, symbol, number, last)


def main(data):
    live = os.path.join(data, "cryptofeed-ws")
    for name in sorted(os.listdir(live)):
        for prefix, dialect in (("BINANCE", binance), ("COINBASE", coinbase), ("KRAKEN", kraken)):
            if name.startswith(prefix) and ".ws." in name:
                count(os.path.join(live, name), dialect)
    for name in BINANCE_GZ:
        count(os.path.join(data, "hftbacktest-binance", "spot", name), binance)


main(sys.argv[1])
