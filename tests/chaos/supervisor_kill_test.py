#!/usr/bin/python3
"""kill -9 of the supervisor, again and again, under load: the service manager keeps the region, the next supervisor goes on with it.

Usage: supervisor_kill_test.py [--kills N] [--seed S]

Alerts acknowledged = alerts present, fires = the oracle's fires, none twice (the oracle of kill_test.py); the epoch, the prices and the
sequence numbers go on. At last: a region that must not be taken over is not, and the log says why.
"""
import argparse
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import fdstore
import harness
import kill_test


def die(engine):
    """Kills the supervisor; its workers go with it."""
    engine.process.kill()
    engine.process.wait()


def sequences(engine, symbols):
    return {row["symbol"]: row["sseq"] for row in engine.get("/api/v1/prices?symbols=" + ",".join(symbols))["prices"] if row.get("sseq")}


def epoch_of(engine):
    return engine.get("/api/v1/status", key=True)["epoch"]


def kill_often(manager, engine, symbols, kills, dice):
    """The epoch stays, boots count on, every number goes up. Some kills fall into the start; sometimes the manager has several regions."""
    epoch, boots, slowest = epoch_of(engine), engine.metrics()["pxengine_region_boots"], 0.0
    for _ in range(kills):
        time.sleep(0.5 + dice.random())
        before, stored = sequences(engine, symbols), engine.metrics()["pxengine_stored_ticks_total"]
        began = time.monotonic()
        die(engine)
        for _ in range(dice.choice([0, 0, 1, 3])):
            engine.start(wait=False)
            time.sleep(0.04 + dice.random() * 0.12)
            die(engine)
        manager.keeps_all = dice.random() < 0.3
        engine.start()
        slowest = max(slowest, time.monotonic() - began)
        after, metrics = sequences(engine, symbols), engine.metrics()
        assert epoch_of(engine) == epoch, f"{epoch} became {epoch_of(engine)}"
        assert metrics["pxengine_region_boots"] > boots, metrics["pxengine_region_boots"]
        assert metrics["pxengine_stored_ticks_total"] >= stored, "the counters began anew"
        back = {s: (before[s], after.get(s)) for s in before if after.get(s, 0) < before[s]}
        assert not back, f"numbers went back: {list(back.items())[:3]}"
        assert len(manager.store) == 2 or manager.keeps_all, f"the manager keeps {manager.names()}"
        boots = metrics["pxengine_region_boots"]
    manager.keeps_all = False
    return slowest, boots


def stale_copy(manager, engine):
    """A supervisor that was killed before it noted its copy has left one, under the very name that the next one's copy gets."""
    epoch, boots = epoch_of(engine), int(engine.metrics()["pxengine_region_boots"])
    name = f"pxshm-{epoch}-{boots + 1}"
    die(engine)
    manager.store = [(name, os.memfd_create("stale")) for _ in range(2)] + manager.store
    engine.start()
    assert epoch_of(engine) == epoch
    assert manager.names() == [name] * 2, f"the manager keeps {manager.names()}, wanted two of {name}"
    assert all(os.fstat(fd).st_size > 0 for _, fd in manager.store), "the manager keeps the stale copy"


def no_duplicates(engine, symbols):
    """Every stored tick once: the keeper goes on behind its checkpoint in the same ring."""
    for symbol in symbols:
        rows = engine.pages(f"/api/v1/ticks/{symbol}?start=1&limit=5000", "ticks")
        keys = [(row["trade_id"], row["venue"]) for row in rows]
        assert len(keys) == len(set(keys)), f"{symbol}: {len(keys) - len(set(keys))} ticks stored twice"


def refused(engine, reason, spoil):
    """Starts after a kill and `spoil`: the old region is not taken over, for this reason, and a new epoch begins."""
    epoch = epoch_of(engine)
    die(engine)
    lines = len(engine.log_lines("region-not-taken-over"))
    spoil()
    engine.start()
    said = engine.log_lines("region-not-taken-over")[lines:]
    assert said and reason in said[-1], f"wanted '{reason}', the log says {said}"
    assert int(epoch_of(engine)[1:]) > int(epoch[1:]), f"{epoch} became {epoch_of(engine)}"
    assert engine.metrics()["pxengine_region_boots"] == 1
    assert len(engine.manager.store) == 2, f"the manager keeps {engine.manager.names()}"


def change_venue(engine):
    text = engine.config.read_text()
    engine.config.write_text(text.replace("name: venue,", "name: other,").replace("{venue: ", "{other: "))


def change_evaluators(engine):
    engine.config.write_text("evaluators: 3\n" + engine.config.read_text())


def change_mark(engine, generation, boots):
    path = engine.folder / "data" / "generation"
    marks = [int(word) for word in path.read_text().split()]
    path.write_text(f"{marks[0] + generation} {marks[1] + boots}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    names = [f"A{i:05d}" for i in range(1, 51)]
    assets = [f"symbol: {name}-USD, decimals: 8, size_decimals: 8, sources: {{venue: {name}USD}}" for name in names]
    limits = "limits: {requests_per_second: 100000, alerts_per_owner: 1000000}\n"
    manager = fdstore.Manager()
    with harness.Venue("--assets", 50, "--prefix", "A", "--rate", 10, "--seed", options.seed) as venue, \
            fdstore.KeptEngine(manager, [f"name: venue, dialect: binance, url: \"{venue.url}\""], assets, extra=limits) as engine:
        harness.wait_for("prices flow", lambda: engine.metrics()["pxengine_trades_total"] > 50, 30)
        listener = harness.Listener(engine, [{"method": "auth", "params": {"token": engine.key}, "req_id": 1},
                                             {"method": "subscribe", "params": {"channel": "alerts"}, "req_id": 2}])
        creator = kill_test.Creator(engine, [name + "-USD" for name in names], dice)
        creator.start()
        stale_copy(manager, engine)
        slowest, boots = kill_often(manager, engine, [name + "-USD" for name in names], options.kills, dice)
        time.sleep(2)
        creator.stopping = True
        creator.join(10)
        assert not creator.errors, creator.errors[:3]
        venue.close()
        harness.wait_for("the keeper has stored all", lambda: kill_test.settled(engine), 30, 0.5)
        alerts, fires, told = kill_test.check(engine, creator, listener)
        no_duplicates(engine, [name + "-USD" for name in names[:10]])
        listener.close()
        refused(engine, "not the last copy", lambda: change_mark(engine, 0, 1))
        refused(engine, "another generation", lambda: change_mark(engine, 1, 0))
        refused(engine, "another number of evaluators", lambda: change_evaluators(engine))
        assert len(engine.workers()["evaluator"]) == 3, engine.workers()
        refused(engine, "other assets", lambda: change_venue(engine))
        assert len(engine.pages("/api/v1/alerts?limit=1000", "alerts")) == alerts, "alerts are gone with the region"
        print(f"ok {boots - 1:.0f} supervisors killed, slowest {slowest * 1000:.0f} ms until ready; {alerts} alerts, "
              f"{fires} fires, {told} told live, none lost, none twice")
        assert fires > 10, "too little happened to prove anything"
    manager.close()


if __name__ == "__main__":
    main()
