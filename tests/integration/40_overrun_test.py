#!/usr/bin/python3
"""The evaluator sleeps through more than the whole tick ring; no crossing is lost, and none is made up.

Two assets at a quarter of a million events a second; the evaluator is stopped for three seconds (SIGSTOP), once it is let go on and once it
is killed. Every alert is then held against all stored trades.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

SYMBOLS = ["A00001-USD", "A00002-USD"]
ASSETS = [f"symbol: {name}, decimals: 8, size_decimals: 8, sources: {{venue: {name.replace('-', '')}}}" for name in SYMBOLS]
LIMITS = "limits: {requests_per_second: 100000, alerts_per_owner: 100000}\n"
OPS = ["crossing_up", "crossing_down", "greater_or_equal", "less_or_equal"]
RING = 1 << 18
SLEEP = 3.0
TICKS = 700000


def create_alerts(engine, alerts):
    """Around the price, near and far, all conditions; most are crossed while the evaluator sleeps, if at all."""
    for symbol in SYMBOLS:
        for step in range(1, 16):
            for sign in (-1, 1):
                for op in OPS:
                    now = Decimal(engine.get(f"/api/v1/prices/{symbol}")["price"])
                    level = (now + sign * step * step * now / 15000).quantize(now)
                    status, answer, _ = engine.request("POST", "/api/v1/alerts",
                                                       {"symbol": symbol, "condition": {"op": op, "level": str(level)}}, key=True)
                    assert status in (200, 201), (status, answer)
                    alerts[answer["id"]] = (symbol, op, level)


def reads(engine, pid):
    view = json.loads(subprocess.check_output([harness.BIN / "pxshm", "--pid", str(engine.process.pid), "--json"]))
    return any(reader["pid"] == pid and reader["online"] for reader in view["rcu"]["readers"])


def waits(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def stop(engine, pid):
    """Stops it where it waits for ticks and reads nothing: one that is stopped amid a pass is a stuck reader, whom the
    supervisor ends after a second, as it must."""
    for _ in range(20):
        harness.wait_for("the evaluator waits", lambda: waits(pid), 10, 0)
        os.kill(pid, signal.SIGSTOP)
        if not reads(engine, pid):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.1)
    raise AssertionError("the evaluator is always reading")


def doze(engine, kill):
    pid = engine.workers()["evaluator"][0]
    stop(engine, pid)
    begun = engine.metrics()
    time.sleep(SLEEP)
    flow = engine.metrics()
    events = sum(flow[name] - begun[name] for name in ("pxengine_trades_total", "pxengine_quotes_total"))
    os.kill(pid, signal.SIGKILL if kill else signal.SIGCONT)
    return events


def caught_up(engine):
    m = engine.metrics()
    seen = m["pxengine_evaluated_ticks_total"] + m["pxengine_evaluator_overrun_ticks_total"]
    return seen >= m["pxengine_trades_total"] and m["pxengine_stored_ticks_total"] >= m["pxengine_trades_total"]


def holds(op, level, prev, price):
    if op == "greater_or_equal":
        return price >= level
    if op == "less_or_equal":
        return price <= level
    return prev is not None and (prev < level <= price if op == "crossing_up" else prev > level >= price)


def check(engine, alerts):
    events = {event["alert_id"]: event for event in engine.pages("/api/v1/events?limit=1000", "events")}
    prices = {symbol: [Decimal(row["price"]) for row in engine.pages(f"/api/v1/ticks/{symbol}?start=1&limit=5000", "ticks")]
              for symbol in SYMBOLS}
    crossed = 0
    for alert, (symbol, op, level) in alerts.items():
        row = prices[symbol]
        if alert in events: # it can have happened: the condition is true of the price that is named, and that price was traded
            event = events[alert]
            assert holds(op, level, Decimal(event["prev"]) if event.get("prev") else None, Decimal(event["price"])), \
                (event, op, level)
            assert Decimal(event["price"]) in row, event
            continue
        # None after the alert was made: then it would have fired. Those before it do not count, so look at the asset's last part.
        tail = row[-len(row) // 3:]
        hit = [i for i in range(1, len(tail)) if holds(op, level, tail[i - 1], tail[i])]
        assert not hit, f"{symbol} {op} {level} was made true {len(hit)} times and has not fired"
        crossed += 1
    late = [event for event in events.values() if event.get("late")]
    return len(events), len(late), crossed, sum(map(len, prices.values()))


def run(kill):
    with harness.Venue("--assets", 2, "--rate", 60000, "--seed", 5 + kill, "--ticks", TICKS) as venue, \
            harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\""], ASSETS, extra=LIMITS) as engine:
        harness.wait_for("prices flow", lambda: engine.metrics()["pxengine_trades_total"] > 2000, 30)
        alerts = {}
        create_alerts(engine, alerts)
        if engine.metrics()["pxengine_trades_total"] > TICKS / 2: # check() takes the last third for after that
            harness.skip("this machine made the alerts more slowly than half of the flood came")
        events = doze(engine, kill)
        if events < RING * 1.1:
            harness.skip(f"this machine made {events:.0f} events in {SLEEP} s, the ring holds {RING}")
        venue_done = lambda: engine.metrics()["pxengine_trades_total"] >= TICKS
        harness.wait_for("the flood ends", venue_done, 60, 0.2)
        harness.wait_for("everything is evaluated and stored", lambda: caught_up(engine), 30, 0.2)
        lost = engine.metrics()["pxengine_evaluator_overrun_ticks_total"]
        assert lost > 0, "the evaluator was not overtaken"
        fired, late, silent, ticks = check(engine, alerts)
        print(f"ok {'killed' if kill else 'stopped'}: {events:.0f} events slept through, {lost:.0f} trades overtaken, "
              f"{fired} fires ({late} late), {silent} alerts rightly silent, {ticks} trades checked")
        assert late > 0, "too little happened to prove anything"


if __name__ == "__main__":
    run(False)
    run(True)
