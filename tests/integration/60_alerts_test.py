#!/usr/bin/python3
"""Every kind of alert over a real engine: made by one batch while prices stand still, judged by a second run that brings scripted prices.

The engine is stopped in between, so that nothing depends on when the venue begins; what fired is compared price by price. --long waits a
quarter of an hour for the averages of five and fifteen minutes.
"""
import datetime
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

HOLD_MS = 33000  # moves want a price that was known for half of their window of a minute
MINUTE_MS = 28500  # later: a minute and more after the beginning
LONG = "--long" in sys.argv


def level(op, at, **more):
    return {"condition": {"op": op, "level": at}, **more}


def channel(op, lower, upper, **more):
    return {"condition": {"op": op, "lower": lower, "upper": upper}, **more}


def of(source, op, at, **more):
    return {"condition": {"op": op, "level": at, "source": source}, **more}


def move(op, amount):
    return {"condition": {"op": op, "amount": amount, "window": "1m"}}


ALWAYS = {"frequency": "every_time"}

# name, alert without its symbol, prices after 100, prices that fire (None: looked at by itself). "99/101" is a quote; what follows "hold" and
# "minute" comes half a minute and a minute later; "gap": the 100 is missing, so that the first price is compared with that of the first run
CASES = [
    ("crossing_up", level("crossing_up", "105"), [104, 106, 104, 106], [106]),
    ("crossing_down", level("crossing_down", "95"), [96, 94, 93], [94]),
    ("crossing", level("crossing", "105", **ALWAYS), [106, 104, 106], [106, 104, 106]),
    ("at or above", level(">=", "105"), [104, 105, 106], [105]),
    ("above", level(">", "105"), [105, 106], [106]),
    ("at or below", level("<=", "95"), [96, 95, 94], [95]),
    ("below", level("<", "95"), [95, 94], [94]),
    ("between two prices", level(">=", "104.995"), [104.99, 105], [105]),
    ("entering", channel("entering_channel", "110", "120"), [105, 115, 105, 115], [115]),
    ("exiting", channel("exiting_channel", "90", "110"), [105, 111, 105, 111], [111]),
    ("inside", channel("inside_channel", "110", "120"), [109, 110], [110]),
    ("outside", channel("outside_channel", "90", "110"), [90, 89], [89]),
    ("again and again", level("crossing_up", "105", **ALWAYS), [106, 104, 106], [106, 106]),
    ("hysteresis", level("crossing_up", "105", hysteresis={"abs": "2"}, **ALWAYS), [106, 104, 106, 103, 107], [106, 107]),
    ("hysteresis in percent", level("<=", "95", hysteresis={"pct": "2"}, **ALWAYS), [94, 96, 94, 97, 93], [94, 93]),
    ("twice", level("crossing", "105", max_fires=2, **ALWAYS), [106, 104, 106], [106, 104]),
    ("cooldown", level("crossing", "105", cooldown="1h", **ALWAYS), [106, 104, 106], [106]),
    ("all of", {"all_of": [{"op": ">=", "level": "105"}, {"op": "<=", "level": "107"}]}, [108, 106], [106]),
    ("hysteresis of a channel", channel("outside_channel", "90", "110", hysteresis={"abs": "5"}, **ALWAYS), [111, 109, 111, 104, 112], [111, 112]),
    ("cooldown that ends", level("crossing", "105", cooldown="30s", **ALWAYS), [106, 104, 106, "hold", 104, 107], [106, 104]),
    ("bid", of("bid", ">=", "99.5"), ["99/101", "99.4/99.6", "99.5/102"], [99.5]),
    ("ask", of("ask", "<=", "101"), ["99/102", 98, "98/101", "98/100"], [101]),
    ("mid", of("mid", "crossing_up", "100.25"), ["99/101", "99.5/100.99", "99.5/101", "99.5/102"], [100.25]),
    ("bid, and no trade", of("bid", ">=", "105"), [106], []),
    ("once a minute", level("crossing_up", "105", frequency="once_per_minute"), [106, 104, 107, "minute", 104, 108], [106, 108]),
    ("once a bar", level("crossing_up", "105", frequency="once_per_bar", bar="1m"), [106, 104, 107, "minute", 104, 108], [106, 108]),
    ("a bar's close", level(">=", "105", frequency="once_per_bar_close", bar="1m"), [106], None),
    ("close", of("close", ">=", "105", bar="1m"), [106], None),
    ("a spike within a bar", of("close", ">=", "105", bar="1m"), [107, 104], []),
    ("average", of("twap_1m", "crossing_up", "140"), ["hold", 200], None),
    ("average of five minutes", of("twap_5m", "crossing_up", "188"), ["hold", 200], None if LONG else []),
    ("average of fifteen", of("twap_15m", "crossing_up", "196"), ["hold", 200], None if LONG else []),
    ("average, too early", of("twap_15m", ">=", "1"), [106], None if LONG else []),
    ("expires later", level("crossing_up", "105", expires_at="2099-01-01T00:00:00Z"), [106], [106]),
    ("expires first", level("crossing_up", "105"), ["hold", 106], []),
    ("late", level("crossing_up", "105"), ["gap", 106], [106]),
    ("paused", level("crossing_up", "105"), [106], []),
    ("never", level("crossing_up", "1000"), [106], []),
    ("stale", {"condition": {"op": "stale", "window": "3s"}}, [101], None),
    ("already true", level(">=", "50"), [], [100]),
    ("moving_up", move("moving_up", "5"), ["hold", 104, 105], [105]),
    ("moving_down", move("moving_down", "5"), ["hold", 96, 95], [95]),
    ("moving_up_pct", move("moving_up_pct", "4"), ["hold", 103, 104], [104]),
    ("moving_down_pct", move("moving_down_pct", "4"), ["hold", 97, 96], [96]),
]


def symbol(i):
    return f"A{i:05d}-USD"


def keep_alive():
    """A price is carried on for five minutes only: what long averages are made of has to come again before that."""
    again = [f"0 {symbol(i).replace('-', '')} {prices[-1]} 1" for i, (name, _, prices, _) in enumerate(CASES) if name.startswith("average")]
    return (["100000" + again[0][1:]] + again[1:]) * 9


def script(folder, moves):
    """Everything at 100, and with `moves` all that comes after, in the three groups that wait for one another."""
    groups = {"": [], "hold": [], "minute": []}
    for i, (_, _, prices, _) in enumerate(CASES):
        group = ""
        for price in ([] if moves and "gap" in prices else [100]) + (prices if moves else []):
            if price in groups:
                group = price
            elif price != "gap":
                groups[group].append(f"0 {symbol(i).replace('-', '')} {price} 1")
    for group, delay in (("hold", HOLD_MS), ("minute", MINUTE_MS)):
        if groups[group]:
            groups[group][0] = f"{delay}" + groups[group][0][1:]
    lines = sum(groups.values(), []) + (keep_alive() if moves and LONG else [])
    path = pathlib.Path(folder) / f"script{int(moves)}"
    path.write_text("\n".join(lines) + "\n")
    return path


def engine_over(venue, folder):
    assets = [f"symbol: {symbol(i)}, decimals: 2, max_jump: 0%, sources: {{venue: {symbol(i).replace('-', '')}}}" for i in range(len(CASES))]
    engine = harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\", stale_after: 600s"], assets, folder=folder, extra="evaluators: 2\n")
    engine.admin = subprocess.check_output([harness.BIN / "pxengine", "key", "add", "--data", engine.folder / "data", "--scopes",
                                            "prices:read,admin"], text=True).strip()
    return engine


def index_of(name):
    return next(i for i, case in enumerate(CASES) if case[0] == name)


def make_alerts(engine):
    body = {"alerts": [{"symbol": symbol(i), "name": name, **alert} for i, (name, alert, _, _) in enumerate(CASES)]}
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    body["alerts"][index_of("expires first")]["expires_at"] = soon.isoformat()
    status, answer, _ = engine.request("POST", "/api/v1/alerts:batch", body, key=True)
    assert status == 207 and answer["failed"] == 0, (status, [row for row in answer["results"] if row["status"] != 201])
    ids = {row["alert"]["name"]: row["alert"] for row in answer["results"]}
    status, paused, _ = engine.request("POST", f"/api/v1/alerts/{ids['paused']['id']}:pause", {}, key=True)
    assert status == 200 and paused["state"] == "paused", paused
    path = f"/api/v1/alerts/{ids['never']['id']}"
    status, changed, headers = engine.request("PATCH", path, {"condition": {"level": "105.5"}, "tags": ["x"]}, key=True)
    assert status == 200 and changed["condition"]["level"] == "105.5" and headers["ETag"] == '"2"', changed
    status, changed, _ = engine.request("PATCH", path, {"condition": {"level": "1000"}}, key=True, headers={"If-Match": '"1"'})
    assert status == 412, changed
    status, changed, _ = engine.request("PATCH", path, {"condition": {"level": "1000"}}, key=True, headers={"If-Match": '"2"'})
    assert status == 200, changed
    depth = f"/api/v1/assets/{symbol(0)}/alert-depth"
    harness.wait_for("the depth", lambda: engine.get(depth)["above"]["levels"] == [{"level": "105.00", "count": 1}], 20)


def fires(engine):
    told = {name: [] for name, *_ in CASES}
    for event in engine.events():
        told[event["name"]].append(float(event["price"]))
    return told


def backtest(engine, start):
    """The same alerts over what was stored meanwhile: the same fires."""
    end = datetime.datetime.now(datetime.timezone.utc).isoformat()
    for i, (name, alert, prices, wanted) in enumerate(CASES):
        if name in ("paused", "stale", "already true", "expires first", "late") or name in at_a_close():
            continue
        if alert.get("condition", {}).get("source", "last") not in ("last", "close"):
            continue
        status, answer, _ = engine.request("POST", "/api/v1/alerts:backtest", {"symbol": symbol(i), "start": start, "end": end, **alert}, key=True)
        got = [float(row["price"]) for row in answer.get("fires", [])]
        assert status == 200 and answer["complete"] and got == wanted, (name, status, answer)
    backtest_in_parts(engine)
    body = {"symbol": symbol(0), "start": end, "end": start, "condition": {"op": ">", "level": "1", "source": "bid"}}
    assert engine.request("POST", "/api/v1/alerts:backtest", body, key=True)[0] == 422


def backtest_in_parts(engine):
    """More fires than one answer holds, over trades of yesterday: told in parts, none lost or told twice where they meet."""
    count, day = 5200, datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(days=1)
    at = [(day + datetime.timedelta(seconds=i)).isoformat().replace("+00:00", ".000000Z") for i in range(count)]
    rows = ["time,price,size"] + [f"{time},{101 if i % 2 else 99},1" for i, time in enumerate(at)]
    status, answer, _ = engine.request("POST", f"/api/v1/import/ticks/{symbol(0)}", "\n".join(rows).encode(), key=engine.admin, headers={"Content-Type": "text/csv"})
    assert status == 200, (status, answer)
    for alert, first, step, wanted in ((level("crossing_up", "100", **ALWAYS), 1, 2, 3), ({**move("moving_up", "2"), **ALWAYS}, 31, 2, 3),
                                       (level("crossing_up", "100", cooldown="3s", **ALWAYS), 1, 4, 2)):
        body, fires, parts = {"symbol": symbol(0), "start": at[0], "end": at[-1][:-8] + ".500000Z", **alert}, [], 0
        while parts == 0 or body["cursor"]:
            status, answer, _ = engine.request("POST", "/api/v1/alerts:backtest", body, key=True)
            assert status == 200 and answer["complete"] == (answer["next_cursor"] is None), (status, answer)
            fires, parts, body["cursor"] = fires + answer["fires"], parts + 1, answer["next_cursor"]
        assert parts == wanted and [row["fire"] for row in fires] == list(range(1, len(fires) + 1)), (parts, len(fires))
        assert [row["time"] for row in fires] == at[first::step], (len(fires), fires[:2], at[first])
    body["cursor"] = "nonsense"
    assert engine.request("POST", "/api/v1/alerts:backtest", body, key=True)[0] == 422


def at_a_close():
    """What fires as a minute ends."""
    return ("a bar's close", "close")


def check_by_itself(engine):
    """Fires whose price or time depends on when the run began."""
    told = {}
    for event in engine.events():
        told.setdefault(event["name"], []).append(event)
    for name in at_a_close():
        [event] = told[name]
        second = datetime.datetime.fromisoformat(event["matched_time"].replace("Z", "+00:00")).second
        assert float(event["price"]) == 106 and second < 20, event  # a busy machine may be late
    for name, lowest, highest in [("average", 140, 143)] + LONG * [("average of five minutes", 188, 189), ("average of fifteen", 196, 197)]:
        [event] = told[name]
        assert lowest <= float(event["price"]) < highest, event
    late = {name for name, events in told.items() if any(event["late"] for event in events)}
    assert late == {"late"}, late


def states(engine):
    return {row["name"]: row["state"] for row in engine.pages("/api/v1/alerts", "alerts")}


def main():
    wanted = {name: prices for name, _, _, prices in CASES}
    with tempfile.TemporaryDirectory(prefix="px-test-") as folder:
        with harness.Venue("--script", script(folder, False)) as venue, engine_over(venue, folder) as engine:
            harness.wait_for("a price of each", lambda: all(row["price"] for row in engine.pages("/api/v1/prices?symbols=" + ",".join(
                symbol(i) for i in range(len(CASES))), "prices")), 60)
            make_alerts(engine)
            harness.wait_for("what was true already", lambda: fires(engine)["already true"] == [100], 20)
            key = engine.key
        between = datetime.datetime.now(datetime.timezone.utc).isoformat()
        with harness.Venue("--script", script(folder, True)) as venue:
            engine = engine_over(venue, folder)
            engine.key = key
            with engine:
                def all_told():
                    told = fires(engine)
                    return all(told[name] for name, prices in wanted.items() if prices is None) and all(told[name] == prices for name, prices in wanted.items() if prices is not None)
                try:
                    harness.wait_for("the fires", all_told, 1200 if LONG else 180, 0.3)
                except AssertionError:
                    told = fires(engine)
                    raise AssertionError({name: (told[name], prices) for name, prices in wanted.items() if told[name] != prices})
                never = index_of("never")
                harness.wait_for("the depth", lambda: engine.get(f"/api/v1/assets/{symbol(never)}/alert-depth")["above"]["levels"] == [
                    {"level": "1000.00", "count": 1}], 20)
                state = states(engine)
                expected = {"crossing_up": "fired", "twice": "fired", "cooldown": "cooling", "paused": "paused", "never": "armed",
                            "again and again": "waiting", "expires first": "expired", "expires later": "fired"}
                assert {name: state[name] for name in expected} == expected, state
                assert len(fires(engine)["stale"]) == 1
                check_by_itself(engine)
                backtest(engine, between)
    print(f"ok {len(CASES)} kinds of alerts")


if __name__ == "__main__":
    main()
