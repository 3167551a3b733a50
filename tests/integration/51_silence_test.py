#!/usr/bin/python3
"""What is kept back and what is told together, in a whole engine: silences, channels that group, the pace that the operator sets.

Usage: 51_silence_test.py [NUMBER...]   Needs pxengine and pxvenue in $PX_BIN.
"""
import datetime
import json
import os
import time

import notify_kit
from notify_kit import harness


def at(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def silence(test, seconds=600, **named):
    return test.call("POST", "/silences", {"ends_at": at(seconds), **named}, 201)


def end(test, made):
    test.call("DELETE", f"/silences/{made['id']}", wanted=204)


def test_01_silences_are_made_seen_and_deleted(test):
    made = silence(test, symbol="BTC-USDT", tag="x", comment="maintenance")
    assert made["id"].startswith("si_") and made["state"] == "active" and "alert_id" not in made, made
    assert test.call("GET", f"/silences/{made['id']}", wanted=200) == made
    later = silence(test, starts_at=at(300))
    assert later["state"] == "waiting", later
    assert [s["id"] for s in test.call("GET", "/silences", wanted=200)["silences"]] == [made["id"], later["id"]]
    page = test.call("GET", "/silences?limit=1", wanted=200)
    assert len(page["silences"]) == 1 and page["next_cursor"], page
    assert test.call("GET", f"/silences?cursor={page['next_cursor']}", wanted=200)["silences"][0]["id"] == later["id"]
    for body in ({}, {"ends_at": at(-5)}, {"ends_at": "soon"}, {"ends_at": at(60), "starts_at": at(90)}, {"ends_at": at(9), "symbol": "NO-SUCH"},
                 {"ends_at": at(9), "alert_id": "ch_1"}, {"ends_at": at(9), "tag": ""}, {"ends_at": at(9), "what": 1}):
        status, answer = test.call("POST", "/silences", body)
        assert status == 422 and answer["errors"], (body, status, answer)
    body, headers = {"ends_at": at(60)}, {"Idempotency-Key": "once"}
    one, two = (test.call("POST", "/silences", body, 201, headers=headers) for _ in range(2))
    assert one["id"] == two["id"]
    assert test.call("POST", "/silences", {**body, "tag": "y"}, headers=headers)[1]["code"] == "idempotency_conflict"
    status, answer = test.call("POST", "/silences", {"ends_at": at(60)})  # the configuration allows three
    assert status == 422, answer
    other = harness.subprocess.check_output([str(harness.BIN / "pxengine"), "key", "add", "--data", str(test.engine.folder / "data"), "--scopes", "alerts:write"], text=True).strip()
    harness.wait_for("the new key", lambda: test.engine.request("GET", "/api/v1/silences", key=other)[0] == 200)
    assert test.engine.request("GET", f"/api/v1/silences/{made['id']}", key=other)[0] == 404
    assert test.engine.request("DELETE", f"/api/v1/silences/{made['id']}", key=other)[0] == 404
    for each in (made, later, one):
        end(test, each)
    assert test.call("GET", f"/silences/{made['id']}")[0] == 404


def test_02_what_is_silenced_is_logged_and_streamed_and_not_told(test):
    channel, other = test.webhook("/silent"), test.webhook("/loud")
    kept = silence(test, tag="night", channel_id=channel["id"])
    listener = harness.Listener(test.engine, lambda l: [{"method": "auth", "params": {"token": test.engine.key}},
                                                        {"method": "subscribe", "params": {"channel": "alerts"}}])
    harness.wait_for("the subscription", lambda: any(f.get("method") == "subscribe" and f.get("success") for f in listener.frames))
    alert = test.fire([channel, other], tags=["night"])
    plain = test.fire([channel], tags=["day"])
    test.until(plain, "delivered")
    harness.wait_for("the other channel", lambda: test.sink.of("/loud"))
    row = test.until(alert, "silenced")
    assert row["silence_id"] == kept["id"] and row["attempt_count"] == 0 and row["channel_id"] == channel["id"], row
    assert [d["id"] for d in test.deliveries(state="silenced")] == [row["id"]]
    assert len(test.sink.of("/silent")) == 1, "only what is not silenced"
    assert alert["id"] in {event["alert_id"] for event in test.engine.events()}
    harness.wait_for("the stream", lambda: alert["id"] in {item.get("alert_id") for item in listener.data("alerts")})
    listener.close()
    test.call("POST", f"/deliveries/{row['id']}:replay", b"", 202)
    harness.wait_for("what was silenced, by its owner's wish", lambda: len(test.sink.of("/silent")) == 2)
    end(test, kept)


def test_03_a_silence_survives_and_ends(test):
    channel = test.webhook("/ends")
    kept = silence(test, 3, symbol="BTC-USDT")
    test.engine.kill("keeper")
    alert = harness.wait_for("an alert", lambda: (lambda status, made: made if status == 201 else None)(*test.call("POST", "/alerts", {
        "symbol": "BTC-USDT", "condition": {"op": ">=", "level": "0.01"}, "channels": [channel["id"]]})))
    if harness.wait_for("its end in the log", lambda: [d for d in test.deliveries() if d["alert_id"] == alert["id"]])[0]["state"] != "silenced":
        assert time.time() > datetime.datetime.fromisoformat(kept["ends_at"].replace("Z", "+00:00")).timestamp(), "silent until it ends"
    harness.wait_for("its end", lambda: test.call("GET", f"/silences/{kept['id']}", wanted=200)["state"] == "over")
    test.until(test.fire([channel]), "delivered")
    end(test, kept)


def test_04_a_channel_that_groups(test):
    channel = test.webhook("/group", group_s=2)
    assert channel["group_s"] == 2
    alerts = [test.fire([channel], name=f"n{i}", message=f"m{i}") for i in range(25)]
    done = harness.wait_for("one notification", lambda: [d for d in test.deliveries(state="delivered") if d["channel_id"] == channel["id"]])
    [request] = test.sink.of("/group")
    notify_kit.check_signature(request, channel["secret"])
    data = json.loads(request["body"])["data"]
    assert data["count"] == 25 == done[0]["count"] and data["alert_id"] == alerts[0]["id"] and data["message"] == "m0", data
    assert [fire["alert_id"] for fire in data["fires"]] == [alert["id"] for alert in alerts[:17]], data["fires"]
    assert data["fires"][3]["name"] == "n3" and data["fires"][3]["symbol"] == "BTC-USDT" and data["fires"][3]["price"], data["fires"][3]
    late = test.fire([channel])
    test.until(late, "delivered")
    data = json.loads(test.sink.of("/group")[-1]["body"])["data"]
    assert data["count"] == 1 and data["alert_id"] == late["id"] and "fires" not in data, data


def test_05_a_storm_is_joined(test):
    """Sixteen are told one by one, the first of all and fifteen; the rest is gathered. With PX_LONG=1 for the three minutes that it takes."""
    channel, alerts, began = test.webhook("/storm"), [], time.time()

    def gathering():
        """A walk of prices crosses some level often, and nobody knows which: one more alert at today's price until one has its storm."""
        if time.time() - began > len(alerts):
            price = test.engine.get("/api/v1/prices/BTC-USDT")["price"]
            alerts.append(test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": "crossing", "level": price},
                                                        "frequency": "every_time", "channels": [channel["id"]]}, 201)["id"])
        return [d["alert_id"] for d in test.deliveries(state="pending") if d["alert_id"] in alerts and d["count"] >= 4]

    alert = harness.wait_for("a storm", gathering, 60, 0.2)[0]
    for each in alerts:
        test.call("DELETE", f"/alerts/{each}", wanted=204)
    own = lambda state: [d for d in test.deliveries(state=state) if d["alert_id"] == alert]
    heard = lambda: [r for r in test.sink.of("/storm") if r["headers"]["webhook-id"].startswith(f"ev_{alert}_")]
    harness.wait_for("those before it", lambda: len(own("delivered")) == 16)
    [gathered] = harness.wait_for("the number", lambda: [d for d in own("pending") if d["count"] ==
                                                         len([e for e in test.engine.events() if e["alert_id"] == alert]) - 16])
    assert len([d for d in test.deliveries() if d["alert_id"] == alert]) == 17 and len(heard()) == 16
    if os.environ.get("PX_LONG") != "1":
        return
    harness.wait_for("the one notification", lambda: len(heard()) == 17, 200)
    data = json.loads(heard()[-1]["body"])["data"]
    assert data["count"] == gathered["count"] and {f["alert_id"] for f in data["fires"]} == {alert}, data
    assert [f["fire"] for f in data["fires"]] == list(range(17, 17 + min(gathered["count"], 17))), data["fires"]


def test_06_the_operators_pace(test):
    """notify: per_minute: 600 saves up 10 s, that is 100; a channel's own pace wins over it."""
    channel, own = test.webhook("/operators"), test.webhook("/own", per_minute=6000)
    for _ in range(115):
        test.fire([channel, own])
    harness.wait_for("those of the channel's own pace", lambda: len(test.sink.of("/own")) == 115, 30)
    harness.wait_for("all of them", lambda: len(test.sink.of("/operators")) == 115, 30)
    arrived = sorted(r["at"] for r in test.sink.of("/operators"))
    assert arrived[-1] - arrived[0] > 1.3, "fifteen more than were saved up take a tenth of a second each"
    assert len({r["headers"]["webhook-id"] for r in test.sink.of("/operators")}) == 115


if __name__ == "__main__":
    notify_kit.run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
                   {"limits": ", silences_per_owner: 3", "notify": ", per_minute: 600"})
