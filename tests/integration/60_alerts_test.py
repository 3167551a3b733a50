#!/usr/bin/python3
"""Every kind of alert over a real engine: made by one batch while prices stand still, judged by a second run that brings scripted prices.

The engine is stopped in between, so that nothing depends on when the venue begins; what fired is compared price by price.
"""
import datetime
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness

HOLD_MS = 33000  # moves want a price that was known for half of their window of a minute


def level(op, at, **more):
    return {"condition": {"op": op, "level": at}, **more}


def channel(op, lower, upper, **more):
    return {"condition": {"op": op, "lower": lower, "upper": upper}, **more}


def move(op, amount):
    return {"condition": {"op": op, "amount": amount, "window": "1m"}}


ALWAYS = {"frequency": "every_time"}

# name, alert without its symbol, prices after 100, prices that fire
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


def script(folder, moves):
    """Everything at 100, and with `moves` all that comes after; those that hold come last, together."""
    lines = [f"0 {symbol(i).replace('-', '')} 100 1" for i in range(len(CASES))]
    held = []
    for i, (_, _, prices, _) in enumerate(CASES if moves else []):
        for price in prices:
            if price != "hold":
                (held if "hold" in prices else lines).append(f"0 {symbol(i).replace('-', '')} {price} 1")
    if held:
        held[0] = f"{HOLD_MS}" + held[0][1:]
    path = pathlib.Path(folder) / f"script{int(moves)}"
    path.write_text("\n".join(lines + held) + "\n")
    return path


def engine_over(venue, folder):
    assets = [f"symbol: {symbol(i)}, decimals: 2, max_jump: 0%, sources: {{venue: {symbol(i).replace('-', '')}}}" for i in range(len(CASES))]
    return harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\", stale_after: 600s"], assets, folder=folder, extra="evaluators: 2\n")


def make_alerts(engine):
    body = {"alerts": [{"symbol": symbol(i), "name": name, **alert} for i, (name, alert, _, _) in enumerate(CASES)]}
    status, answer, _ = engine.request("POST", "/api/v1/alerts:batch", body, key=True)
    assert status == 207 and answer["failed"] == 0, (status, answer)
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
        if name in ("paused", "stale", "already true"):
            continue
        status, answer, _ = engine.request("POST", "/api/v1/alerts:backtest", {"symbol": symbol(i), "start": start, "end": end, **alert}, key=True)
        got = [float(row["price"]) for row in answer.get("fires", [])]
        assert status == 200 and answer["complete"] and got == wanted, (name, status, answer)
    body = {"symbol": symbol(0), "start": end, "end": start, "condition": {"op": ">", "level": "1", "source": "bid"}}
    assert engine.request("POST", "/api/v1/alerts:backtest", body, key=True)[0] == 422


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
                    return told["stale"] and all(told[name] == prices for name, prices in wanted.items() if prices is not None)
                try:
                    harness.wait_for("the fires", all_told, 120, 0.3)
                except AssertionError:
                    told = fires(engine)
                    raise AssertionError({name: (told[name], prices) for name, prices in wanted.items() if told[name] != prices})
                never = next(i for i, case in enumerate(CASES) if case[0] == "never")
                harness.wait_for("the depth", lambda: engine.get(f"/api/v1/assets/{symbol(never)}/alert-depth")["above"]["levels"] == [
                    {"level": "1000.00", "count": 1}], 20)
                state = states(engine)
                expected = {"crossing_up": "fired", "twice": "fired", "cooldown": "cooling", "paused": "paused", "never": "armed",
                            "again and again": "waiting"}
                assert {name: state[name] for name in expected} == expected, state
                assert len(fires(engine)["stale"]) == 1
                backtest(engine, between)
    print(f"ok {len(CASES)} kinds of alerts")


if __name__ == "__main__":
    main()
