"""What alerts have to do by their definitions: slow, obvious, and nothing of the engine's own code.

A tick is (price, event time, receipt time), prices as whole numbers, times in microseconds, in the order of their numbers and without those
that came late. An alert has a rule and a history of what was asked of it: create, pause, resume, patch (another rule), delete, each between two ticks. Between
which nobody outside knows: behind those received until `acked` at the latest, and before those received from `from` on at the earliest (the engine may have looked at
a tick a while after it came); so the oracle follows all of them side by side: the fires that were seen are right when one course explains them
to the last, and every tick after an acknowledgement is judged without any freedom.
"""
import bisect

LEVEL_OPS = {"greater_or_equal", "greater_than", "less_or_equal", "less_than", "inside_channel", "outside_channel"}
INFINITY = float("inf")


class Rule:
    def __init__(self, op, level=None, lower=None, upper=None, frequency="every_time", hysteresis=0, cooldown=0, max_fires=None):
        self.op, self.frequency, self.h, self.cooldown, self.max_fires = op, frequency, hysteresis, cooldown, max_fires
        self.level, self.lower, self.upper = level, lower, upper

    def true(self, price):
        """Of a condition that is true or false of a price alone."""
        return {"greater_or_equal": lambda: price >= self.level, "greater_than": lambda: price > self.level,
                "less_or_equal": lambda: price <= self.level, "less_than": lambda: price < self.level,
                "inside_channel": lambda: self.lower <= price <= self.upper,
                "outside_channel": lambda: not self.lower <= price <= self.upper}[self.op]()

    def waits_for(self):
        return (self.op, self.level, self.lower, self.upper, self.h)

    def of_level(self):
        return self.op in LEVEL_OPS

    def demands(self, prev, price):
        """Is this step a fire, if the alert is armed?"""
        if self.of_level():
            return self.true(price)
        if self.op.endswith("_channel"):
            was, now = self.lower <= prev <= self.upper, self.lower <= price <= self.upper
            return now and not was if self.op == "entering_channel" else was and not now
        up, down = prev < self.level <= price, prev > self.level >= price
        return {"crossing_up": up, "crossing_down": down, "crossing": up or down}[self.op]

    def rearms(self, price):
        """Does this price arm again what has fired?"""
        h, level = self.h, self.level
        if self.op in ("crossing_up", "greater_or_equal"):
            return price <= level - h if h else price < level
        if self.op in ("crossing_down", "less_or_equal"):
            return price >= level + h if h else price > level
        if self.op in ("greater_than", "less_than"):
            return (price <= level - h if self.op == "greater_than" else price >= level + h)
        if self.op == "crossing":
            return (price <= level - h or price >= level + h) if h else price != level  # from the level itself no step is a crossing
        if self.op in ("exiting_channel", "outside_channel"):
            return self.lower + h <= price <= self.upper - h
        return (price <= self.lower - h or price >= self.upper + h) if h else not self.lower <= price <= self.upper

    def held_back(self, fired_at, now):
        if fired_at is None:
            return False
        if self.cooldown and now - fired_at < self.cooldown:
            return True
        return self.frequency == "once_per_minute" and now - fired_at < 60 * 1000000

    def is_last(self, fires):
        return self.frequency == "once" or (self.max_fires is not None and fires >= self.max_fires)


class AllOf(Rule):
    """True when all are; a crossing is true at its step only, and with one among them it does not wait afterwards."""

    def __init__(self, conditions, **more):
        super().__init__(None, **more)
        self.conditions = conditions
        self.steps = any(not condition.of_level() for condition in conditions)

    def waits_for(self):
        return [condition.waits_for() for condition in self.conditions]

    def of_level(self):
        return not self.steps

    def true(self, price):
        return all(condition.true(price) for condition in self.conditions)

    def demands(self, prev, price):
        return all(condition.demands(prev, price) for condition in self.conditions)

    def rearms(self, price):
        return self.steps or not self.true(price)


def rules_of(rule, requests):
    """The rule in force when so many of the requests have been done."""
    rules = [rule]
    for request in requests:
        rules.append(request.get("rule", rules[-1]))
    return rules


class Course:
    """One course of an alert: how many of the requests have been done, whether it waits, how many fires are explained."""
    __slots__ = ("done", "armed", "waiting", "fired_at", "fires")

    def __init__(self, done=0, armed=False, waiting=False, fired_at=None, fires=0):
        self.done, self.armed, self.waiting, self.fired_at, self.fires = done, armed, waiting, fired_at, fires

    def key(self):
        return (self.done, self.armed, self.waiting, self.fired_at, self.fires)

    def copy(self):
        return Course(*self.key())


def come_true(rule, course, price, now, event):
    """It is true and armed: fires if nothing holds it back. False: what was seen says otherwise."""
    course.waiting = True
    if not rule.held_back(course.fired_at, now):
        if event is None:
            return False
        course.fires += 1
        course.fired_at = now
        if rule.is_last(course.fires):
            course.armed = False
            return True
    course.waiting = not rule.rearms(price)
    return True


def do(rule, before, course, request, events, ticks, at):
    """The next request, after tick `at`. None: what was seen says otherwise."""
    course = course.copy()
    course.done += 1
    if request["what"] in ("pause", "delete"):
        course.armed = False
        return course
    ended = course.fires > 0 and rule.is_last(course.fires)
    if request["what"] == "resume" and ended or request["what"] == "patch" and not course.armed:
        return course
    if request["what"] == "patch" and rule.waits_for() == before.waits_for():
        return course  # nothing has changed, so nothing is armed anew
    course.armed, course.waiting = True, False
    price, time, _ = ticks[at]
    if rule.of_level() and rule.true(price):
        event = events[course.fires] if course.fires < len(events) else None
        # the tick's time, or that of the one before when the alert came between the two halves of a tick
        if event and (event["price"] != price or event["time"] not in (time, ticks[max(at - 1, 0)][1])):
            event = None
        if not come_true(rule, course, price, event["time"] if event else time, event):
            return None
    return course


def hears(rule, course, prev, tick, events):
    """The course after a tick. None: what was seen says otherwise."""
    price, time, _ = tick
    if not course.armed:
        return course
    if course.waiting:
        if rule.rearms(price):
            course.waiting = False
        return course
    if not rule.demands(prev, price):
        return course
    event = events[course.fires] if course.fires < len(events) else None
    if event and not (event["time"] == time and event["price"] == price and event["prev"] == prev):
        event = None
    return course if come_true(rule, course, price, time, event) else None


def unique(courses):
    return list({course.key(): course for course in courses}.values())


def with_requests(rules, courses, requests, events, ticks, at):
    """All courses that may be after tick `at` and before the next one."""
    received = ticks[at][2] if at >= 0 else 0
    coming = ticks[at + 1][2] if at + 1 < len(ticks) else INFINITY
    found, fresh = [], courses
    while fresh:
        found += fresh
        fresh = [after for course in fresh if course.done < len(requests)
                 for request in [requests[course.done]]
                 if at >= 0 and received <= request["acked"] and coming >= request["from"]
                 for after in [do(rules[course.done + 1], rules[course.done], course, request, events, ticks, at)] if after is not None]
    return unique([c for c in found if c.done >= len(requests) or requests[c.done]["acked"] >= coming])


def overtaken(rules, courses, requests, events, ticks, at):
    """The courses in which a patch was under way when tick `at` came: the new rule is armed against it, the old one has not heard it."""
    return [after for course in courses if course.done < len(requests)
            for request in [requests[course.done]]
            if request["what"] == "patch" and request["from"] <= ticks[at][2] <= request["acked"]
            for after in [do(rules[course.done + 1], rules[course.done], course, request, events, ticks, at)] if after is not None]


def state_of(rule, course, requests):
    """As the API calls it; None: it is deleted."""
    if requests[course.done - 1]["what"] == "delete":
        return None
    if course.fires > 0 and rule.is_last(course.fires):
        return "fired"
    return "paused" if not course.armed else "waiting" if course.waiting else "armed"


def explain(rule, requests, events, ticks):
    """(why, states): why no course of the alert explains all that was seen, "" if one does, and the states in which those leave it. Events in the
    order of their numbers."""
    rules = rules_of(rule, requests)
    begin = max(bisect.bisect_left(ticks, requests[0]["from"], key=lambda tick: tick[2]) - 1, 0)
    courses = with_requests(rules, [Course()], requests, events, ticks, begin)
    for at in range(begin + 1, len(ticks)):
        if not courses:
            return f"no course goes past tick {ticks[at - 1]}", set()
        prev, tick = ticks[at - 1][0], ticks[at]
        before = courses
        courses = [after for course in courses for after in [hears(rules[course.done], course, prev, tick, events)] if after is not None]
        courses += overtaken(rules, before, requests, events, ticks, at)
        if not courses:
            seen = max(course.fires for course in before)
            return f"{seen} fires explained, then tick {tick} after {prev} demands one; seen next: {events[seen:seen + 1]}", set()
        if all(course.done == len(requests) and not course.armed for course in courses):
            break
        if len(courses) > 1 or courses[0].done < len(requests):
            courses = with_requests(rules, courses, requests, events, ticks, at)
    courses = [course for course in courses if course.done == len(requests) or requests[course.done]["acked"] == INFINITY]
    explained = max((course.fires for course in courses), default=0)
    if explained < len(events):
        return f"{explained} fires explained of {len(events)}; then {events[explained:explained + 1]}", set()
    return ("" if courses else "no course does all that was asked"), {state_of(rule, c, requests) for c in courses if c.fires == len(events)}


def explain_each(rule, requests, events):
    """Why one of the fires cannot be, "" if all can: of a source whose values are not stored, each is judged by the two values that it tells."""
    rules = {id(r): r for r in rules_of(rule, requests)}.values()
    for i, event in enumerate(events):
        before = events[i - 1] if i > 0 else None
        if not any(r.demands(event["prev"], event["price"]) for r in rules if event["prev"] is not None or r.of_level()):
            return f"{event} is no fire by any of its rules"
        if before and (rule.is_last(i) or rule.held_back(before["time"], event["time"])):
            return f"{event} after {before}, its number {i}"
        if before and before["time"] == event["time"] and before["price"] == event["price"] and len(rules) == 1:
            return f"{event} twice"
    return ""
