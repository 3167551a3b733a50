#!/usr/bin/python3
"""kill -9 of workers at random moments under load, with alerts of every kind, and an oracle that knows what each had to do.

Usage: alerts_kill_test.py [--kills N] [--assets N] [--rate R] [--alerts R] [--pause S] [--seed S] [--keep FILE]
N kills in all (CI: a few; whole: --kills 1000, about 25 minutes), R trades a second of each asset, R alerts made a second, S seconds
between kills.

Must hold: alerts acknowledged = alerts there; the fires of every alert are those of its definition over the ticks as stored, numbered 1..n;
of sources that are not stored every fire is one, and an alert that what clients have seen of them made true has fired; every one of them is in exactly one delivery, every delivery arrives, and arrives again under the same webhook-id only.
"""
import argparse
import collections
import copy
import datetime
import heapq
import http.server
import itertools
import json
import pathlib
import pickle
import random
import socketserver
import sys
import threading
import time
import uuid
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import alerts_oracle
import harness

VICTIMS = ["evaluator", "keeper", "notify", "web", "ingest"]
STEP = 10 ** 8  # prices as whole numbers
BUSY = 1000000  # for so long (us) a tick may lie there on a busy machine before it is looked at
EPOCH = datetime.datetime(1970, 1, 1)
CROSSINGS = ["crossing_up", "crossing_down", "crossing"]
LEVELS = ["greater_or_equal", "less_or_equal", "greater_than", "less_than"]
CHANNELS = ["entering_channel", "exiting_channel", "inside_channel", "outside_channel"]


def microseconds(text):
    return (datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ") - EPOCH) // datetime.timedelta(microseconds=1)


def whole(text):
    """Averages have more decimals than prices."""
    value = Decimal(text) * STEP
    return int(value) if value == int(value) else value


def text_of(price):
    return str(Decimal(price) / STEP)


# ---- the receiver ----

class Sink(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Keeps what was told under every webhook-id; now and then it fails, or hangs up without an answer."""
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, seed):
        super().__init__(("127.0.0.1", 0), Handler)
        self.got, self.lock, self.dice, self.requests, self.faulty = collections.defaultdict(list), threading.Lock(), random.Random(seed), 0, True
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            luck = self.server.dice.random() if self.server.faulty else 1
            self.server.requests += 1
            self.server.got[self.headers["webhook-id"]].append((luck >= 0.03, body["data"]["alert_id"], body["data"]["fire"], body["data"]["count"]))
        if luck < 0.01:
            self.close_connection = True
            return
        self.send_response(500 if luck < 0.03 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused):
        pass


# ---- the clients ----

# What is not stored tick by tick cannot be judged to the last fire; each fire by itself can, and whether there had to be a first one.
OTHER_SOURCES = ["bid", "ask", "mid", "twap_1m", "close"]


class Alert:
    def __init__(self, symbol, rule, body, later):
        self.id, self.symbol, self.rule, self.body, self.later, self.requests = None, symbol, rule, body, later, []

    def request(self, what):
        """Times in microseconds, as those of ticks are."""
        self.requests.append({"what": what, "sent": int(time.time() * 1e6), "acked": alerts_oracle.INFINITY})
        return self.requests[-1]


class Watcher:
    """Looks at what is not stored, some times a second. A row: when it was asked for and answered, source -> value."""
    every = 0.2

    def __init__(self, engine, symbols):
        self.engine, self.symbols, self.stopping, self.seen = engine, symbols, False, collections.defaultdict(list)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True
        self.thread.join(30)

    def look(self, symbols):
        sent = int(time.time() * 1e6)
        status, answer, _ = self.engine.request("GET", "/api/v1/prices?symbols=" + ",".join(symbols), timeout=3)
        got = int(time.time() * 1e6)
        for row in answer["prices"] if status == 200 else []:
            values = {name: whole(text) for name, text in (("bid", row.get("bid")), ("ask", row.get("ask")),
                                                           ("twap_1m", row["averages"]["1m"]["twap"] if row["averages"]["1m"]["coverage"] == 1 else None)) if text}
            if "bid" in values and "ask" in values and (values["bid"] + values["ask"]) % 2 == 0:
                values["mid"] = (values["bid"] + values["ask"]) // 2
            self.seen[row["symbol"]].append((sent, got, values))

    def run(self):
        while not self.stopping:
            for i in range(0, len(self.symbols), 50):
                try:
                    self.look(self.symbols[i:i + 50])
                except (OSError, ValueError, KeyError):
                    pass
            time.sleep(self.every)


class Clients:
    """Some threads that make alerts near the price, singly and in batches, and pause, resume, change and delete them; a request is repeated
    until it is answered."""

    def __init__(self, engine, symbols, channels, seed, rate, threads=4):
        self.engine, self.symbols, self.channels, self.rate = engine, symbols, channels, rate / threads
        self.alerts, self.errors, self.stopping, self.lock = [], [], False, threading.Lock()
        self.prices = {}
        self.threads = [threading.Thread(target=self.run, args=(random.Random(seed + i),), daemon=True) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(30)

    def look(self):
        """The prices, looked at once a second."""
        if time.monotonic() - self.prices.get("", 0) > 1:
            self.prices[""] = time.monotonic()
            for i in range(0, len(self.symbols), 50):
                status, answer, _ = self.engine.request("GET", "/api/v1/prices?symbols=" + ",".join(self.symbols[i:i + 50]), timeout=3)
                if status == 200:
                    self.prices.update((row["symbol"], whole(row["price"])) for row in answer["prices"] if row.get("price"))

    def until_answered(self, method, path, body, good, headers=None):
        """The answer, or None when none came before the end."""
        while not self.stopping:
            try:
                status, answer, _ = self.engine.request(method, path, body, key=True, headers=headers, timeout=4)
            except (OSError, ValueError):
                status, answer = 0, None
            if status in good:
                return answer or {}
            if status not in (0, 429, 503):
                self.errors.append((method, path, body, status, answer))
                return None
            time.sleep(0.05)
        return None

    def condition(self, dice, price, op):
        """As the oracle knows it."""
        near = lambda most: max(price + price * dice.randint(-most, most) // 1000000 // 10 * 10, 10)
        if op not in CHANNELS:
            return {"level": near(800)}
        lower = near(600)
        return {"lower": lower, "upper": lower + price * dice.randint(100, 800) // 1000000 + 10}

    def several(self, dice, price):
        """All of two to four, with at most one crossing: two of them seldom come true in one step."""
        ops = [dice.choice(CROSSINGS + LEVELS * 2 + CHANNELS)] + dice.choices(LEVELS + CHANNELS[2:], k=dice.randint(1, 3))
        given = [self.condition(dice, price, op) for op in ops]
        bodies = [{"op": op, **{name: text_of(value) for name, value in g.items()}} for op, g in zip(ops, given)]
        return bodies, [alerts_oracle.Rule(op, **g) for op, g in zip(ops, given)]

    def make(self, dice):
        symbol = dice.choice(self.symbols)
        price = self.prices.get(symbol)
        if not price:
            return None
        op = dice.choice(CROSSINGS * 3 + LEVELS * 2 + CHANNELS * 2)
        body = {"symbol": symbol, "frequency": "every_time"}
        given, several = self.condition(dice, price, op), None
        source = dice.choice(OTHER_SOURCES) if dice.random() < 0.15 else "last"
        if source == "last" and dice.random() < 0.2:
            body["all_of"], several = self.several(dice, price)
            given = {}
        else:
            body["condition"] = {"op": op, "source": source, **{name: text_of(value) for name, value in given.items()}}
        if source == "close":
            body["bar"] = "1m"
        if not several and dice.random() < 0.5:
            room = (given["upper"] - given["lower"]) // 2 if op in ("exiting_channel", "outside_channel") else price
            given["hysteresis"] = min(price * dice.randint(20, 600) // 1000000 + 1, room)
            body["hysteresis"] = {"abs": text_of(given["hysteresis"])}
        kind = dice.random()
        if kind < 0.15:
            body["frequency"] = given["frequency"] = "once"
        elif kind < 0.25:
            given["max_fires"] = body["max_fires"] = dice.randint(2, 5)
        elif kind < 0.4:
            given["cooldown"] = dice.randint(1, 20) * 1000000
            body["cooldown"] = f"{given['cooldown'] // 1000000}s"
        elif kind < 0.45:
            body["frequency"] = given["frequency"] = "once_per_minute"
        if self.channels and dice.random() < 0.5:
            body["channels"] = [dice.choice(self.channels)]
        later, at = [], time.monotonic()
        if 0.45 <= kind < 0.7:
            for verb in ("pause", "resume") * dice.randint(1, 3):
                at += dice.uniform(0.2, 6)
                later.append((at, verb))
        elif kind >= 0.7 or dice.random() < 0.2:
            for _ in range(dice.randint(0, 3)):
                at += dice.uniform(0.2, 6)
                later.append((at, "patch"))
        if 0.45 <= kind < 0.5 and later:
            later.insert(dice.randint(1, len(later)), (later[0][0], "patch"))  # while it is paused, too
            later = [(when, verb) for (when, _), (_, verb) in zip(sorted(later), later)]
        if dice.random() < 0.8:
            later.append((at + dice.uniform(2, 60), "delete"))
        rule = alerts_oracle.AllOf(several, **given) if several else alerts_oracle.Rule(op, **given)
        rule.source = source
        return Alert(symbol, rule, body, later)

    def make_batch(self, bodies, key):
        """A row each, when there are no more that the keeper could not be asked about; none when there was no answer before the end."""
        while True:
            answer = self.until_answered("POST", "/api/v1/alerts:batch", {"alerts": bodies}, (207,), key)
            if not answer or all(row["status"] != 503 for row in answer["results"]):
                return answer["results"] if answer else []
            time.sleep(0.05)

    def create(self, dice):
        """Those that are there."""
        count = dice.randint(2, 8) if dice.random() < 0.15 else 1
        alerts = [alert for alert in (self.make(dice) for _ in range(count)) if alert]
        if not alerts:
            time.sleep(0.1)
            return []
        requests = [alert.request("create") for alert in alerts]
        with self.lock:
            self.alerts += alerts
        key = {"Idempotency-Key": uuid.UUID(int=dice.getrandbits(128)).hex}
        if len(alerts) == 1:
            answer = self.until_answered("POST", "/api/v1/alerts", alerts[0].body, (200, 201), key)
            rows = [{"status": 201, "alert": answer}] if answer else []
        else:
            rows = self.make_batch([alert.body for alert in alerts], key)
        acked = int(time.time() * 1e6)
        for alert, request, row in zip(alerts, requests, rows):
            if row["status"] not in (200, 201):
                self.errors.append(("batch", alert.body, row))
                return []
            request["acked"], alert.id = acked, row["alert"]["id"]
        return alerts if rows else []

    def patch(self, alert, dice):
        """Another rule of the same kind; what it may not change stays."""
        price, old = self.prices[alert.symbol], alert.requests[-1].get("rule") or next(
            (request["rule"] for request in reversed(alert.requests) if "rule" in request), alert.rule)
        rule = copy.copy(old)
        if "all_of" in alert.body:
            body, conditions = self.several(dice, price)
            rule.__init__(conditions, frequency=old.frequency, cooldown=old.cooldown, max_fires=old.max_fires)
            change = {"all_of": body}
        else:
            rule.__dict__.update(self.condition(dice, price, rule.op))
            names = ("lower", "upper") if rule.op in CHANNELS else ("level",)
            change = {"condition": {name: text_of(getattr(rule, name)) for name in names}}
            if rule.op in ("exiting_channel", "outside_channel") and rule.h > (rule.upper - rule.lower) // 2:
                rule.h = (rule.upper - rule.lower) // 2
                change["hysteresis"] = {"abs": text_of(rule.h)}
        rule.source = old.source
        return rule, change

    def go_on(self, alert, verb, dice):
        if verb == "patch":
            rule, body = self.patch(alert, dice)
            request = alert.request(verb)
            request["rule"] = rule
            method, path, good = "PATCH", "", (200,)
        else:
            request, body = alert.request(verb), None if verb == "delete" else b""
            method, path, good = ("DELETE", "", (200, 204, 404)) if verb == "delete" else ("POST", f":{verb}", (200,))
        if self.until_answered(method, f"/api/v1/alerts/{alert.id}{path}", body, good) is not None:
            request["acked"] = int(time.time() * 1e6)

    def run(self, dice):
        queue, order, next_at = [], itertools.count(), time.monotonic()
        while not self.stopping:
            try:
                self.look()
            except (OSError, ValueError, KeyError):
                pass
            alerts = []
            if queue and queue[0][0] <= time.monotonic():
                _, _, alert = heapq.heappop(queue)
                self.go_on(alert, alert.later.pop(0)[1], dice)
                alerts = [alert]
            elif next_at <= time.monotonic():
                alerts = self.create(dice)
                next_at += dice.expovariate(self.rate) * max(len(alerts), 1)
            else:
                time.sleep(0.005)
            for alert in alerts:
                if alert.later:
                    heapq.heappush(queue, (alert.later[0][0], next(order), alert))


# ---- what must hold ----

def read_ticks(engine, symbol):
    """In the order in which they came; late ones fire nothing, and quarantined ones neither."""
    rows = [row for row in engine.pages(f"/api/v1/ticks/{symbol}?start=1&limit=5000", "ticks") if not row["quarantined"]]
    ticks, newest = [], 0
    for row in sorted(rows, key=lambda row: row["seq"]):
        at = microseconds(row["time"])
        if at >= newest:
            newest = at
            ticks.append((whole(row["price"]), at, microseconds(row["recv_time"])))
    return ticks


def read_events(engine):
    return [{"alert": e["alert_id"], "fire": e["fire"], "price": whole(e["price"]), "prev": None if e["prev"] is None else whole(e["prev"]), "late": e["late"],
             "time": microseconds(e["price_time"]), "seq": e["seq"]} for e in engine.events()]


def read_all(engine, clients, sink):
    symbols = sorted({alert.symbol for alert in clients.alerts})
    for _ in range(20):
        settle(engine, sink)
        events = read_events(engine)
        data = {"alerts": clients.alerts, "events": events, "ticks": {symbol: read_ticks(engine, symbol) for symbol in symbols},
                "stored": {row["id"]: row for row in engine.pages("/api/v1/alerts?limit=1000", "alerts")},
                "deliveries": engine.pages("/api/v1/deliveries?limit=1000", "deliveries"), "got": dict(sink.got)}
        if len(read_events(engine)) == len(events):  # averages move with time, without a tick
            return data
    raise AssertionError("alerts go on firing while they are read")


def check_alerts(data):
    """None that was acknowledged is lost, none that was deleted is there."""
    deleted = {a.id for a in data["alerts"] if a.requests[-1]["what"] == "delete" and a.requests[-1]["acked"] < alerts_oracle.INFINITY}
    perhaps = {a.id for a in data["alerts"] if a.requests[-1]["what"] == "delete"}
    known = {a.id for a in data["alerts"] if a.id}
    lost, undead = known - perhaps - set(data["stored"]), deleted & set(data["stored"])
    unknown = sum(a.id is None for a in data["alerts"])
    assert not lost, f"{len(lost)} acknowledged alerts are gone: {sorted(lost)[:3]}"
    assert not undead, f"{len(undead)} deleted alerts are there: {sorted(undead)[:3]}"
    assert len(set(data["stored"]) - known) <= unknown, "alerts that nobody asked for"


def earliest(request, downs):
    """Ticks received until then had been looked at when it was sent. Who looks at them may have been dead for a while."""
    since = request["sent"] - BUSY
    for killed, back in sorted(downs, reverse=True):
        if back + BUSY >= since and killed <= request["sent"]:
            since = min(since, killed - BUSY)
    return since


def closes(ticks):
    """Of the minutes that are over: their ends and last prices."""
    for (price, at, _), (_, then, _) in zip(ticks, ticks[1:]):
        if at // 60000000 != then // 60000000:  # final two seconds later
            end = (at // 60000000 + 1) * 60000000
            yield end, end + 4 * BUSY, {"close": price}


def witness(alert, rows):
    """What it had to fire by, while it stood as it was made; None if nothing has been seen. An average moves between the moments at which it is
    judged, so three looks one after the other must agree."""
    later = alert.requests[1:2]
    until = later[0]["from"] if later else alerts_oracle.INFINITY
    source, before = alert.rule.source, []
    for sent, got, values in rows:
        if sent <= alert.requests[0]["acked"] or got >= until or source not in values:
            continue
        before.append(values[source])
        if source == "twap_1m":
            if alert.rule.of_level() and len(before) >= 3 and all(alert.rule.true(value) for value in before[-3:]):
                return before[-3:]
        elif alert.rule.of_level() and alert.rule.true(before[-1]):
            return before[-1:]
        elif not alert.rule.of_level() and len(before) > 1 and alert.rule.demands(before[-2], before[-1]):
            return before[-2:]
    return None


def check_fires(data, downs):
    fires, wrong, twice, due = collections.defaultdict(list), [], [], 0
    assert [e["seq"] for e in data["events"]] == list(range(1, len(data["events"]) + 1)), "the events have a gap, or are out of order"
    for event in data["events"]:
        fires[event["alert"]].append(event)
    for alert in data["alerts"]:
        seen = fires.get(alert.id, [])
        if [e["fire"] for e in seen] != list(range(1, len(seen) + 1)):
            twice.append((alert.id, [e["fire"] for e in seen]))
        if alert.id:
            for request in alert.requests:
                request["from"] = earliest(request, downs)
            if alert.rule.source != "last":
                ticks = data["ticks"][alert.symbol]
                must = witness(alert, closes(ticks) if alert.rule.source == "close" else data["seen"][alert.symbol])
                due += must is not None
                why = alerts_oracle.explain_each(alert.rule, alert.requests, seen)
                if must and not seen:
                    why = f"it has not fired by {alert.rule.source} {must}"
                if why:
                    wrong.append((alert.id, alert.body, alert.requests, why))
                continue
            why, states = alerts_oracle.explain(alert.rule, alert.requests, seen, data["ticks"][alert.symbol])
            row = data["stored"].get(alert.id, {"state": None})
            state = "armed" if row["state"] == "cooling" and alert.rule.cooldown else row["state"]
            if not why and (state not in states or row.get("fires", len(seen)) != len(seen)):
                why = f"its state is {row['state']}, and may be {states}; it says {row.get('fires')} fires of {len(seen)}"
            if why:
                wrong.append((alert.id, alert.body, alert.requests, why))
    for one in (twice + wrong)[:3]:
        print("WRONG", *one, sep="\n   ")
    assert not twice, f"{len(twice)} alerts whose fires are not numbered 1..n"
    assert not wrong, f"{len(wrong)} alerts of {len(data['alerts'])} have fires that their definition does not explain, or lack some"
    return due


def check_deliveries(data):
    """Every fire of an alert with a channel is in one delivery, and every delivery has arrived."""
    fires, told, missing, doubled = collections.Counter(), collections.Counter(), [], []
    with_channel = {alert.id for alert in data["alerts"] if alert.id and alert.body.get("channels")}
    for event in data["events"]:
        fires[event["alert"]] += 1
    gathering = 0
    for row in data["deliveries"]:
        told[row["alert_id"]] += row["count"]
        got = data["got"].get(row["webhook_id"], [])
        gathering += row["state"] == "pending"
        if row["state"] == "pending":
            continue
        assert row["state"] == "delivered", row
        if not any(good and (alert, fire, count) == (row["alert_id"], row["fire"], row["count"]) for good, alert, fire, count in got):
            missing.append((row, got))
    counts = {alert: (fires[alert], told[alert]) for alert in with_channel if fires[alert] != told[alert]}
    assert not missing, f"{len(missing)} deliveries have not arrived: {missing[:3]}"
    assert not counts, f"{len(counts)} alerts with other fires than deliveries tell: {list(counts.items())[:3]}"
    names = [row["webhook_id"] for row in data["deliveries"]]
    assert len(names) == len(set(names)), "two deliveries under one name"
    strange = [name for name, got in data["got"].items() if name not in set(names) or len({rest for _, *rest in map(tuple, got) for rest in [tuple(rest)]}) > 1]
    assert not strange, f"told something that is not: {strange[:3]}"
    again = sum(len(got) - 1 for got in data["got"].values())
    return len(names), again, gathering


def count_kinds(data):
    fires = collections.Counter(event["alert"] for event in data["events"])
    return {"several": sum(fires[a.id] for a in data["alerts"] if "all_of" in a.body),
            "source": sum(fires[a.id] for a in data["alerts"] if a.rule.source != "last"),
            "patch": sum(request["what"] == "patch" for a in data["alerts"] for request in a.requests)}


# ---- the run ----

def kill_all(engine, order, dice, pause):
    """When nobody looked at ticks, in microseconds, and how long the slowest restart took, in seconds."""
    downs, slowest, start = [], 0.0, time.monotonic()
    for done, role in enumerate(order):
        if done > 0 and done % 50 == 0:
            left = (time.monotonic() - start) / done * (len(order) - done)
            print(f"{done} of {len(order)} kills, {left / 60:.0f} more minutes", file=sys.stderr, flush=True)
        time.sleep(pause * (0.5 + dice.random()))
        began = time.time()
        several = len(engine.workers()[role])
        pid = engine.kill(role)
        harness.wait_for(f"{role} is back", lambda: len([p for p in engine.workers().get(role, []) if p != pid]) == several, 20, 0.002)
        if role in ("evaluator", "keeper"):
            harness.wait_for(f"{role} works", engine.is_ready, 30, 0.02)
            downs.append((int(began * 1e6), int(time.time() * 1e6)))
        slowest = max(slowest, time.time() - began)
    return downs, slowest


def settle(engine, sink):
    """Everything stored, everything told except what a storm still gathers."""
    def quiet(seen={}):
        metrics = engine.metrics()
        now = (metrics["pxengine_stored_ticks_total"], metrics["pxengine_fires_total"])
        same, seen["last"] = seen.get("last") == now, now
        return same

    def told():
        soon = datetime.datetime.utcnow() + datetime.timedelta(seconds=2)
        rows = [row for state in ("pending", "delivering", "failed")
                for row in engine.pages(f"/api/v1/deliveries?state={state}&limit=1000", "deliveries")]
        return all(row["state"] == "pending" and row["due_at"] and datetime.datetime.strptime(row["due_at"], "%Y-%m-%dT%H:%M:%S.%fZ") > soon
                   for row in rows)
    harness.wait_for("everything is ready", engine.is_ready, 30)
    harness.wait_for("the keeper has stored all", quiet, 60, 0.5)
    sink.faulty = False
    harness.wait_for("all is delivered", told, 120, 0.5)


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--assets", type=int, default=40)
    parser.add_argument("--rate", default="10")
    parser.add_argument("--alerts", type=float, default=30.0)
    parser.add_argument("--pause", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--keep", help="what was read is written there, for a look afterwards")
    return parser.parse_args()


def main():
    options = options_of()
    print(f"seed {options.seed}", flush=True)
    dice = random.Random(options.seed)
    names = [f"A{i:05d}" for i in range(1, options.assets + 1)]
    assets = [f"symbol: {name}-USD, decimals: 8, size_decimals: 8, sources: {{venue: {name}USD}}" for name in names]
    extra = "evaluators: 2\nlimits: {requests_per_second: 100000, alerts_per_owner: 1000000}\nnotify: {allow_private: [127.0.0.0/8]}\n"
    sink = Sink(options.seed)
    with harness.Venue("--assets", options.assets, "--prefix", "A", "--rate", options.rate, "--seed", options.seed, "--time-unit", "us") as venue, \
            harness.Engine([f"name: venue, dialect: binance, url: \"{venue.url}\""], assets, extra=extra) as engine:
        harness.wait_for("prices flow", lambda: engine.metrics()["pxengine_trades_total"] > 3 * options.assets, 30)
        channels = [engine.request("POST", "/api/v1/channels", {"type": "webhook", "ttl": "24h", "url": f"http://127.0.0.1:{sink.server_port}/{i}"},
                                   key=True)[1]["id"] for i in range(4)]
        clients = Clients(engine, [name + "-USD" for name in names], channels, options.seed, options.alerts)
        watcher = Watcher(engine, clients.symbols)
        time.sleep(2)
        order = [VICTIMS[i % len(VICTIMS)] for i in range(options.kills)]
        dice.shuffle(order)
        began = time.monotonic()
        downs, slowest = kill_all(engine, order, dice, options.pause)
        time.sleep(2)
        took = time.monotonic() - began
        clients.stop()
        watcher.stop()
        assert not clients.errors, clients.errors[:3]
        venue.close()
        data = {**read_all(engine, clients, sink), "downs": downs, "seen": watcher.seen}
        lost = {name: value for name, value in engine.metrics().items() if "lost" in name and value}
        if options.keep:
            pathlib.Path(options.keep).write_bytes(pickle.dumps(data))
        check_alerts(data)
        due = check_fires(data, downs)
        deliveries, again, gathering = check_deliveries(data)
        kinds = count_kinds(data)
        print(f"ok {len(order)} kills in {took:.0f} s, slowest restart {slowest * 1000:.0f} ms; {len(data['alerts'])} alerts, "
              f"{sum(map(len, data['ticks'].values()))} ticks, {len(data['events'])} fires, {sum(e['late'] for e in data['events'])} of them late; "
              f"fires of several conditions {kinds['several']}, of other sources {kinds['source']} ({due} alerts of these had to fire), changes {kinds['patch']}; "
              f"{deliveries} deliveries, {again} told again, {gathering} gathering at the end; lost 0, missing 0, twice 0 {lost or ''}")
        assert len(data["events"]) > 10 * options.kills and min(kinds.values()) > 0, "too little happened to prove anything"
    sink.shutdown()


if __name__ == "__main__":
    main()
