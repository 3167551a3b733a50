#!/usr/bin/python3
"""kill -9 of every worker, again and again, under load: alerts acknowledged = alerts present, fires = the oracle's fires, none twice.

Usage: kill_test.py [--kills N] [--assets N] [--rate R] [--pause S] [--seed S]    (N kills of each worker; CI runs a small part)

The oracle reads the ticks that the engine has stored, and asks of every alert what its definition asks. An alert is armed somewhere between
the moment its request was sent and the moment it was acknowledged, so the oracle knows two sets: fires that must be there, because a
tick after the acknowledgement demands them, and fires that may be there, because a tick after the request does.
"""
import argparse
import datetime
import pathlib
import random
import sys
import threading
import time
import uuid
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

ROLES = ["ingest", "evaluator", "keeper", "notify", "web"]
OPS = ["crossing_up", "crossing_down", "greater_or_equal", "less_or_equal"]


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


class Creator(threading.Thread):
    """Creates alerts near the price until told to stop; repeats a request with its key until it is answered."""

    def __init__(self, engine, symbols, dice):
        super().__init__(daemon=True)
        self.engine, self.symbols, self.dice = engine, symbols, dice
        self.acked, self.unknown, self.stopping, self.errors = {}, 0, False, []

    def level(self, symbol):
        status, price, _ = self.engine.request("GET", f"/api/v1/prices/{symbol}", timeout=3)
        if status != 200 or not price.get("price"):
            return None
        now = Decimal(price["price"])
        return (now + now * self.dice.randint(-40, 40) / Decimal(20000)).quantize(now)

    def create(self, symbol, op, level):
        headers = {"Idempotency-Key": uuid.UUID(int=self.dice.getrandbits(128)).hex}
        body = {"symbol": symbol, "condition": {"op": op, "level": str(level)}}
        sent = time.time()
        while not self.stopping:
            try:
                status, answer, _ = self.engine.request("POST", "/api/v1/alerts", body, key=True, headers=headers, timeout=4)
            except (OSError, ValueError):
                status, answer = 0, None
            if status in (200, 201):
                self.acked[answer["id"]] = {"symbol": symbol, "op": op, "level": level, "sent": sent, "acked": time.time()}
                return
            if status not in (0, 429, 503):
                self.errors.append((status, answer))
                return
            time.sleep(0.05)
        self.unknown += 1

    def run(self):
        while not self.stopping:
            symbol, op = self.dice.choice(self.symbols), self.dice.choice(OPS)
            try:
                level = self.level(symbol)
            except (OSError, ValueError):
                level = None
            if level is None or level <= 0:
                time.sleep(0.05)
                continue
            self.create(symbol, op, level)
            time.sleep(0.005)


def holds(op, level, prev, price):
    if op == "greater_or_equal":
        return price >= level
    if op == "less_or_equal":
        return price <= level
    if prev is None:
        return False
    return prev < level <= price if op == "crossing_up" else prev > level >= price


def demands(alert, ticks, after):
    """Does a tick that was received after `after` fire it? A level that held already at that moment does as well."""
    prev, level, op = None, alert["level"], alert["op"]
    armed_now = op in ("greater_or_equal", "less_or_equal")
    for price, received in ticks:
        if received > after and holds(op, level, prev, price):
            return True
        if received > after and armed_now and prev is not None and holds(op, level, None, prev):
            return True
        prev = price
    return armed_now and prev is not None and holds(op, level, None, prev)


def read_ticks(engine, symbol):
    ticks, newest = [], ""
    for row in engine.pages(f"/api/v1/ticks/{symbol}?start=1&limit=5000", "ticks"):
        if row["time"] >= newest: # a late tick fires nothing
            newest = row["time"]
            ticks.append((Decimal(row["price"]), seconds(row["recv_time"])))
    return ticks


def check(engine, creator, listener):
    stored = {row["id"]: row for row in engine.pages("/api/v1/alerts?limit=1000", "alerts")}
    missing = set(creator.acked) - set(stored)
    surplus = set(stored) - set(creator.acked)
    assert not missing, f"{len(missing)} acknowledged alerts are gone: {sorted(missing)[:3]}"
    assert len(surplus) <= creator.unknown, f"{len(surplus)} alerts that nobody asked for, {creator.unknown} unanswered"
    events = engine.events()
    fired = {}
    for event in events:
        fired[event["alert_id"]] = fired.get(event["alert_id"], 0) + 1
    twice = [alert for alert, times in fired.items() if times > 1]
    assert not twice, f"{len(twice)} alerts fired twice: {twice[:3]}"
    by_state = {alert for alert, row in stored.items() if row["state"] == "fired"}
    assert by_state == set(fired), f"states and events differ: {sorted(by_state ^ set(fired))[:3]}"
    lacking, wrong = [], []
    ticks = {}
    for alert_id, alert in creator.acked.items():
        if alert["symbol"] not in ticks:
            ticks[alert["symbol"]] = read_ticks(engine, alert["symbol"])
        if alert_id not in fired and demands(alert, ticks[alert["symbol"]], alert["acked"]):
            lacking.append((alert_id, alert))
        if alert_id in fired and not demands(alert, ticks[alert["symbol"]], alert["sent"] - 1):
            wrong.append((alert_id, alert))
    assert not lacking, f"{len(lacking)} fires are missing: {lacking[:3]}"
    assert not wrong, f"{len(wrong)} fires that the oracle does not know: {wrong[:3]}"
    told = {}
    for item in listener.data("alerts"):
        told.setdefault(item["alert_id"], set()).add(item["fire"])
    strange = {alert for alert, fires in told.items() if fires != {1} or alert not in fired}
    assert not strange, f"told, but not as fired: {sorted(strange)[:3]}"
    return len(stored), len(fired), len(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--assets", type=int, default=200)
    parser.add_argument("--rate", default="5")
    parser.add_argument("--pause", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    names = [f"A{i:05d}" for i in range(1, options.assets + 1)]
    assets = [f"symbol: {name}-USD, decimals: 8, size_decimals: 8, sources: {{venue: {name}USD}}" for name in names]
    limits = "limits: {requests_per_second: 100000, alerts_per_owner: 1000000}\n"
    with harness.Venue("--assets", options.assets, "--prefix", "A", "--rate", options.rate, "--seed", options.seed) as venue, \
            harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\""], assets, extra=limits) as engine:
        harness.wait_for("prices flow", lambda: engine.metrics()["pxengine_trades_total"] > options.assets, 30)
        listener = harness.Listener(engine, [{"method": "auth", "params": {"token": engine.key}, "req_id": 1},
                                             {"method": "subscribe", "params": {"channel": "alerts"}, "req_id": 2}])
        creator = Creator(engine, [name + "-USD" for name in names], dice)
        creator.start()
        order = ROLES * options.kills
        dice.shuffle(order)
        slowest = 0.0
        for role in order:
            time.sleep(options.pause * (0.5 + dice.random()))
            others = {r: pids for r, pids in engine.workers().items() if r != role}
            pid, began = engine.kill(role), time.monotonic()
            harness.wait_for(f"{role} is back", lambda: [p for p in engine.workers().get(role, []) if p != pid], 20, 0.002)
            slowest = max(slowest, time.monotonic() - began)
            after = {r: pids for r, pids in engine.workers().items() if r != role}
            assert after == others, f"killing {role} changed others: {others} -> {after}"
        time.sleep(2)
        creator.stopping = True
        creator.join(10)
        assert not creator.errors, creator.errors[:3]
        venue.close()
        harness.wait_for("everything is ready", engine.is_ready, 30)
        harness.wait_for("the keeper has stored all", lambda: settled(engine), 30, 0.5)
        alerts, fires, told = check(engine, creator, listener)
        listener.close()
        print(f"ok {len(order)} kills, slowest restart {slowest * 1000:.0f} ms; {alerts} alerts, {fires} fires, {told} told live, "
              f"none lost, none twice")
        assert fires > 20, "too little happened to prove anything"


def settled(engine, seen={}):
    metrics = engine.metrics()
    now = (metrics["pxengine_stored_ticks_total"], metrics["pxengine_fires_total"])
    same = seen.get("last") == now
    seen["last"] = now
    return same


if __name__ == "__main__":
    main()
