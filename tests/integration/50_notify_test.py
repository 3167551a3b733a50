#!/usr/bin/python3
"""Notifications of a whole engine, into sinks of the test's own: what arrives, how it is signed, what happens when the receiver misbehaves.

Usage: 50_notify_test.py [NUMBER...]   Needs pxengine and pxvenue in $PX_BIN.
"""
import base64
import collections
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import notify_kit
from notify_kit import RECEIPT, Sink, check_signature, harness, skip_part


def test_01_channels_are_made_changed_and_deleted(test):
    made = test.webhook("/crud", name="ops", ttl="10m", per_minute=30)
    assert made["id"].startswith("ch_") and made["secret"].startswith("whsec_") and made["ttl"] == "600s", made
    seen = test.call("GET", f"/channels/{made['id']}", wanted=200)
    assert "secret" not in seen and seen["name"] == "ops" and seen["enabled"] and seen["version"] == 1, seen
    assert [c["id"] for c in test.call("GET", "/channels", wanted=200)["channels"]] == [made["id"]]
    changed = test.call("PATCH", f"/channels/{made['id']}", {"enabled": False, "name": "x"}, 200, headers={"If-Match": '"1"'})
    assert changed["version"] == 2 and changed["state"] == "paused" and changed["url"] == made["url"], changed
    assert test.call("PATCH", f"/channels/{made['id']}", {"name": "y"}, headers={"If-Match": '"1"'})[0] == 412
    for body in ({}, {"type": "fax"}, {"type": "webhook"}, {"type": "webhook", "url": "ftp://x/"}, {"type": "webhook", "url": "http://u:p@x/"},
                 {"type": "webhook", "url": "http://x/", "ttl": "1d"}, {"type": "email", "to": "a@b\r\nBcc: c@d"},
                 {"type": "email", "to": "a@b,c@d"}, {"type": "webhook", "url": "http://x/", "secret": "whsec_c2hvcnQ="},
                 {"type": "webpush", "subscription": {"endpoint": "https://x/", "keys": {"p256dh": "A", "auth": "B"}}}):
        status, answer = test.call("POST", "/channels", body)
        assert status == 422 and answer["errors"], (body, status, answer)
    status, answer = test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": ">=", "level": "1"}, "channels": ["ch_" + "0" * 26]})
    assert status == 422 and answer["errors"][0]["pointer"] == "/channels/0", answer
    test.call("DELETE", f"/channels/{made['id']}", wanted=204)
    assert test.call("GET", f"/channels/{made['id']}")[0] == 404
    headers = {"Idempotency-Key": "once"}
    one, two = (test.call("POST", "/channels", {"type": "email", "to": "a@b.example"}, 201, headers=headers) for _ in range(2))
    assert one["id"] == two["id"]
    assert test.call("POST", "/channels", {"type": "email", "to": "c@b.example"}, headers=headers)[1]["code"] == "idempotency_conflict"


def test_02_a_fire_arrives_once_and_signed(test):
    channel = test.webhook("/once")
    alert = test.fire([channel], message="up")
    assert alert["channels"] == [channel["id"]]
    done = test.until(alert, "delivered")
    time.sleep(0.5)
    [request] = test.sink.of("/once")
    check_signature(request, channel["secret"])
    body = json.loads(request["body"])
    assert request["headers"]["webhook-id"] == f"ev_{alert['id']}_1" and request["headers"]["content-type"] == "application/json"
    assert body["type"] == "alert.fired" and set(body) == {"type", "timestamp", "data"}, body
    data = body["data"]
    wanted = {"alert_id", "fire", "symbol", "op", "level", "price", "prev", "price_time", "recv_time", "matched_time", "venue", "seq",
              "epoch", "late", "count", "message"}
    assert wanted <= set(data) and data["alert_id"] == alert["id"] and data["symbol"] == "BTC-USDT" and data["message"] == "up", data
    assert data["count"] == 1 and data["venue"] == "binance" and data["fire"] == 1, data
    assert done["attempt_count"] == 1 and done["attempts"][0]["status"] == 204 and done["attempts"][0]["error"] is None, done


def test_03_a_raw_body_is_the_message(test):
    channel = test.webhook("/raw", format="raw")
    words = ["ticker", "exchange", "open", "high", "low", "close", "volume", "time", "timenow", "interval", "alert.id", "price", "level"]
    for part in (words[:7], words[7:]):
        alert = test.fire([channel], message="{" + ",".join(f'"{word}":"{{{{{word}}}}}"' for word in part) + "}")
        test.until(alert, "delivered")
        request = test.sink.of("/raw")[-1]
        said = json.loads(request["body"])
        assert request["headers"]["content-type"] == "application/json" and "{{" not in request["body"].decode(), request
        assert said.get("ticker", "BTC-USDT") == "BTC-USDT" and said.get("alert.id", alert["id"]) == alert["id"], said
        check_signature(request, channel["secret"])
    alert = test.fire([channel], message="{{ticker}} is at {{price}}")
    test.until(alert, "delivered")
    request = test.sink.of("/raw")[-1]
    assert request["headers"]["content-type"].startswith("text/plain") and request["body"].startswith(b"BTC-USDT is at "), request


def test_04_a_failure_is_tried_again_under_the_same_id(test):
    channel = test.webhook("/again")
    test.sink.answer = lambda path, earlier: 500 if len(earlier) < 2 else 204
    alert = test.fire([channel])
    done = test.until(alert, "delivered")
    requests = test.sink.of("/again")
    assert len(requests) == 3 and len({r["headers"]["webhook-id"] for r in requests}) == 1 and len({r["body"] for r in requests}) == 1
    assert [a["status"] for a in done["attempts"]] == [500, 500, 204] and done["attempt_count"] == 3, done
    for request in requests:
        check_signature(request, channel["secret"])


def test_05_retry_after_is_kept_to(test):
    channel = test.webhook("/busy")
    test.sink.answer = lambda path, earlier: (429, {"Retry-After": "2"}) if not earlier else 204
    test.until(test.fire([channel]), "delivered")
    first, second = test.sink.of("/busy")
    assert second["at"] - first["at"] >= 2, second["at"] - first["at"]


def test_06_gone_ends_the_channel(test):
    channel = test.webhook("/gone")
    test.sink.answer = lambda path, earlier: 410
    dead = test.until(test.fire([channel]), "dead")
    assert dead["attempts"][0]["status"] == 410 and dead["attempt_count"] == 1, dead
    harness.wait_for("the end of the channel", lambda: test.call("GET", f"/channels/{channel['id']}", wanted=200)["state"] == "gone")
    test.fire([channel])
    time.sleep(0.5)
    assert len(test.sink.of("/gone")) == 1
    test.sink.answer = lambda path, earlier: 204
    assert test.call("PATCH", f"/channels/{channel['id']}", {"enabled": True}, 200)["state"] == "active"
    test.call("POST", f"/deliveries/{dead['id']}:replay", b"", 202)
    harness.wait_for("the replay", lambda: len(test.sink.of("/gone")) == 2)
    again = harness.wait_for("its end", lambda: [d for d in [test.whole(dead)] if d["state"] == "delivered"])[0]
    assert again["attempt_count"] == 2 and test.sink.of("/gone")[1]["headers"]["webhook-id"] == dead["webhook_id"], again


def test_07_a_redirect_is_a_failure(test):
    channel = test.webhook("/from", ttl="1s")
    test.sink.answer = lambda path, earlier: (302, {"Location": test.sink.url("/to")}) if path == "/from" else 204
    dead = test.until(test.fire([channel]), "dead")
    assert dead["attempts"][0]["status"] == 302 and "redirect" in dead["attempts"][0]["error"], dead
    assert not test.sink.of("/to")


def test_08_the_time_is_bounded(test):
    """Nobody answers; a reply without an end; other channels are not held up."""
    slow, endless, quick = test.webhook("/slow", ttl="1s"), test.webhook("/endless", ttl="1s"), test.webhook("/quick")
    test.sink.answer = lambda path, earlier: {"/slow": None, "/endless": (200, {"body": b"x" * 200000})}.get(path, 204)
    alert = test.fire([slow, endless, quick])
    began = time.monotonic()
    harness.wait_for("the quick one", lambda: test.sink.of("/quick"), 1)
    ended = harness.wait_for("the ends of both", lambda: [d for d in test.deliveries(state="dead") if d["alert_id"] == alert["id"]][1:] and
                             [d for d in test.deliveries() if d["alert_id"] == alert["id"]], 20)
    assert 4 < time.monotonic() - began < 12
    errors = {d["channel_id"]: test.whole(d)["attempts"][0]["error"] for d in ended}
    assert "Timeout" in errors[slow["id"]] and "too long" in errors[endless["id"]] and not errors[quick["id"]], errors


def test_09_what_is_given_up_can_be_sent_again(test):
    channel = test.webhook("/dlq", ttl="1s")
    test.sink.answer = lambda path, earlier: 503
    alerts = [test.fire([channel]) for _ in range(5)]
    names = {f"ev_{alert['id']}_1" for alert in alerts}
    dead = harness.wait_for("dead ones", lambda: (lambda d: d if len(d) == 5 else None)(
        [d for d in test.deliveries(state="dead") if d["channel_id"] == channel["id"]]), 40)
    assert {d["webhook_id"] for d in dead} == names
    test.sink.answer = lambda path, earlier: 204
    before = len(test.sink.of("/dlq"))
    answer = test.call("POST", "/deliveries:replay", b"", 202)
    assert answer["replayed"] >= 5 and not answer["more"], answer
    harness.wait_for("all of them", lambda: {r["headers"]["webhook-id"] for r in test.sink.of("/dlq")[before:]} == names)


def test_10_test_and_a_new_secret(test):
    channel = test.webhook("/rotate")
    delivery = test.call("POST", f"/channels/{channel['id']}:test", b"", 202)["delivery_id"]
    request = harness.wait_for("the test", lambda: test.sink.of("/rotate"))[0]
    check_signature(request, channel["secret"])
    assert json.loads(request["body"])["type"] == "channel.test"
    assert test.call("GET", f"/deliveries/{delivery}", wanted=200)["alert_id"] is None
    turned = test.call("POST", f"/channels/{channel['id']}:rotate-secret", b"", 200)
    assert turned["secret"] != channel["secret"]
    test.until(test.fire([channel]), "delivered")
    request = test.sink.of("/rotate")[-1]
    check_signature(request, turned["secret"])
    check_signature(request, channel["secret"]) # for a day both sign


def test_10a_an_alert_is_tried_out(test):
    """What a fire would tell now, and nothing has fired."""
    plain, raw = test.webhook("/tried"), test.webhook("/tried-raw", format="raw")
    alert = test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": "crossing_up", "level": "999999"}, "name": "far",
                                          "message": "{{ticker}} over {{level}} at {{price}}", "channels": [plain["id"], raw["id"]]}, 201)
    ids = test.call("POST", f"/alerts/{alert['id']}:test", b"", 202)["deliveries"]
    for delivery in ids:
        harness.wait_for("its end", lambda: test.call("GET", f"/deliveries/{delivery}", wanted=200)["state"] == "delivered")
    [request], [words] = test.sink.of("/tried"), test.sink.of("/tried-raw")
    check_signature(request, plain["secret"])
    body = json.loads(request["body"])
    data = body["data"]
    assert body["type"] == "alert.test" and request["headers"]["webhook-id"].startswith("ev_test_"), request
    assert data["alert_id"] == alert["id"] and data["level"] == "999999" and data["fire"] == 0 and data["name"] == "far", data
    assert data["message"] == f"BTC-USDT over 999999 at {data['price']}" and float(data["price"]) > 0, data
    assert words["body"].startswith(b"BTC-USDT over 999999 at ") and words["headers"]["webhook-id"].startswith("ev_test_"), words
    assert test.call("GET", f"/alerts/{alert['id']}", wanted=200)["fires"] == 0
    assert test.call("GET", f"/deliveries/{ids[0]}", wanted=200)["alert_id"] == alert["id"]


def test_10b_somebody_reads_it(test):
    channel = test.webhook("/verify")
    verify = f"/channels/{channel['id']}:verify"
    assert channel["verified_at"] is None and test.call("POST", verify, {"code": "000000"})[0] == 409
    test.call("POST", verify, b"", 202)
    body = json.loads(harness.wait_for("the code", lambda: test.sink.of("/verify"))[0]["body"])
    code = body["data"]["code"]
    assert body["type"] == "channel.verify" and len(code) == 6 and code in body["data"]["message"], body
    wrong = "000000" if code != "000000" else "111111"
    assert test.call("POST", verify, {"code": wrong})[0] == 422
    assert test.call("POST", verify, {"code": code}, 200)["verified_at"]
    assert test.call("POST", verify, {"code": code})[0] == 409, "a code is good once"
    assert test.call("PATCH", f"/channels/{channel['id']}", {"url": test.sink.url("/verify2")}, 200)["verified_at"] is None
    test.call("POST", verify, b"", 202)
    code = json.loads(harness.wait_for("the code", lambda: test.sink.of("/verify2"))[0]["body"])["data"]["code"]
    for _ in range(5):
        assert test.call("POST", verify, {"code": "x" + code[1:]})[0] == 422
    assert test.call("POST", verify, {"code": code})[0] == 409, "five guesses"


def test_11_the_pace_of_a_channel(test):
    channel = test.webhook("/pace", per_minute=60)
    alerts = [test.fire([channel]) for _ in range(14)]
    time.sleep(2.5)
    arrived = len(test.sink.of("/pace"))
    assert 10 <= arrived <= 13, arrived
    harness.wait_for("the rest", lambda: len(test.sink.of("/pace")) == len(alerts), 10)
    assert len({r["headers"]["webhook-id"] for r in test.sink.of("/pace")}) == len(alerts)


def test_12_the_library_of_standard_webhooks_agrees(test):
    deps = pathlib.Path(os.environ.get("PX_NOTIFY_DEPS", "/tmp/px-notify-deps"))
    if subprocess.run("command -v npm && command -v node", shell=True, stdout=subprocess.DEVNULL).returncode != 0:
        skip_part("node and npm are not installed")
        return
    if not (deps / "node_modules" / "standardwebhooks").is_dir():
        deps.mkdir(parents=True, exist_ok=True)
        (deps / "package.json").write_text('{"private":true}')
        if subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "standardwebhooks@1.0.0"],
                          cwd=deps).returncode != 0:
            skip_part("npm could not install standardwebhooks")
            return
    channel = test.webhook("/library")
    test.until(test.fire([channel], message="gr\u00fc\u00dfe \u2603"), "delivered")
    request = test.sink.of("/library")[0]
    script = ("const {Webhook}=require('standardwebhooks');const i=JSON.parse(require('fs').readFileSync(0));"
              "console.log(new Webhook(i.secret).verify(i.body,i.headers).type);"
              "try{new Webhook(i.secret).verify(i.body+' ',i.headers);console.log('bad')}catch(e){console.log('refused')}")
    said = subprocess.run(["node", "-e", script], cwd=deps, text=True, capture_output=True, check=True,
                          input=json.dumps({"secret": channel["secret"], "body": request["body"].decode(), "headers": request["headers"]}))
    assert said.stdout.split() == ["alert.fired", "refused"], said


def test_13_mail(test):
    try:
        from aiosmtpd.controller import Controller
    except ImportError:
        skip_part("python3-aiosmtpd is not installed")
        return
    mails = []

    class Box:
        async def handle_DATA(self, server, session, envelope):
            mails.append(envelope)
            return "250 taken"

        async def handle_RCPT(self, server, session, envelope, address, options):
            if address.startswith("nobody"):
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

    box = Controller(Box(), hostname="127.0.0.1", port=test.mail_port)
    box.start()
    try:
        channel = test.call("POST", "/channels", {"type": "email", "to": "me@example.org"}, 201)
        nobody = test.call("POST", "/channels", {"type": "email", "to": "nobody@example.org"}, 201)
        alert = test.fire([channel, nobody], name="caf\u00e9", message="{{ticker}}\n.\nup")
        dead = harness.wait_for("mail", lambda: mails and [d for d in test.deliveries(state="dead") if d["channel_id"] == nobody["id"]])
        assert test.whole(dead[0])["attempts"][0]["status"] == 550
        import email
        import email.policy
        mail = email.message_from_bytes(mails[0].content, policy=email.policy.default)
        assert mails[0].mail_from == "alerts@example.com" and mails[0].rcpt_tos == ["me@example.org"]
        assert mail["To"] == "<me@example.org>" or "me@example.org" in mail["To"]
        assert "BTC-USDT greater_or_equal 0.01" in mail["Subject"] and f"ev_{alert['id']}_1@example.com" in mail["Message-ID"], dict(mail)
        assert mail.get_content().replace("\r\n", "\n").startswith("BTC-USDT\n.\nup"), mail.get_content()
    finally:
        box.stop()


def decrypt(body, private, auth):
    """RFC 8291, the browser's side."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    salt, theirs = body[:16], body[21:86]
    own = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
    derive = lambda n, salt, info, key: HKDF(hashes.SHA256(), n, salt, info).derive(key)
    ikm = derive(32, auth, b"WebPush: info\0" + own + theirs, shared)
    text = AESGCM(derive(16, salt, b"Content-Encoding: aes128gcm\0", ikm)).decrypt(
        derive(12, salt, b"Content-Encoding: nonce\0", ikm), body[86:], None)
    return text.rstrip(b"\0")[:-1]


def test_14_web_push(test):
    try:
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    except ImportError:
        skip_part("python3-cryptography is not installed")
        return
    to64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    from64 = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    browser, auth = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    channel = test.call("POST", "/channels", {"type": "webpush", "subscription": {
        "endpoint": test.sink.url("/push/abc"), "expirationTime": None, "keys": {"p256dh": to64(point), "auth": to64(auth)}}}, 201)
    assert "keys" not in channel["subscription"], channel
    test.sink.answer = lambda path, earlier: 201
    alert = test.fire([channel], message="hello")
    test.until(alert, "delivered")
    [request] = test.sink.of("/push/abc")
    head = request["headers"]
    body = json.loads(decrypt(request["body"], browser, auth))
    assert body["data"]["alert_id"] == alert["id"] and body["data"]["message"] == "hello", body
    assert head["content-encoding"] == "aes128gcm" and int(head["ttl"]) == 900 and head["urgency"] == "high", head
    word, token, key = head["authorization"].replace(",", "").split()
    assert word == "vapid" and key[2:] == test.call("GET", "/push-key", wanted=200)["public_key"], head
    first, claims, signature = token[2:].split(".")
    claim = json.loads(from64(claims))
    assert claim["aud"] == test.sink.url("") and claim["sub"] == "mailto:ops@example.com" and 0 < claim["exp"] - time.time() <= 86400
    raw = from64(signature)
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from64(key[2:])).verify(
        utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
        f"{first}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    test.sink.answer = lambda path, earlier: 404 # the browser has gone
    test.fire([channel])
    harness.wait_for("the end of the channel", lambda: test.call("GET", f"/channels/{channel['id']}", wanted=200)["state"] == "gone")


def test_15_killed_under_load(test):
    """Nothing is missing; what comes twice comes under its own id."""
    channels = [test.webhook(f"/load/{i}") for i in range(4)]
    test.sink.answer = lambda path, earlier: (time.sleep(0.01), 204)[1]
    alerts, stop = [], threading.Event()

    def create():
        while not stop.is_set():
            try:
                status, answer = test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": ">=", "level": "0.01"},
                                                               "channels": [channels[len(alerts) % 4]["id"]]}, timeout=4)
            except OSError:
                continue
            if status == 201:
                alerts.append(answer)
            elif status not in (503, 429):
                raise AssertionError((status, answer))

    creators = [threading.Thread(target=create, daemon=True) for _ in range(2)]
    for creator in creators:
        creator.start()
    for role in ["notify", "keeper"] * 4:
        time.sleep(0.8)
        test.engine.kill(role)
    time.sleep(0.8)
    stop.set()
    for creator in creators:
        creator.join(10)
    fired = {f"ev_{event['alert_id']}_{event['fire']}" for event in test.engine.events()} & {f"ev_{alert['id']}_1" for alert in alerts}
    assert len(fired) == len(alerts), (len(fired), len(alerts))
    got = lambda: collections.Counter(r["headers"]["webhook-id"] for i in range(4) for r in test.sink.of(f"/load/{i}"))
    harness.wait_for("all of them", lambda: fired <= set(got()), 60)
    harness.wait_for("their reports", lambda: not [d for d in test.deliveries() if d["state"] in ("pending", "delivering", "failed")
                                                   and d["webhook_id"] in fired], 60)
    count = got()
    assert not [d for d in test.deliveries(state="dead") if d["webhook_id"] in fired]
    print(f"fires={len(fired)} missing=0 repeats={sum(count[name] - 1 for name in fired)} under the same id, kills=8")


def test_16_how_fast(test):
    """From the price's receipt to the request's arrival, over alerts that a moving price crosses."""
    channel = test.webhook("/fast")
    test.sink.answer = lambda path, earlier: 204
    from decimal import Decimal
    created, until = 0, time.monotonic() + float(os.environ.get("PX_NOTIFY_SECONDS", "6"))
    while time.monotonic() < until:
        price = Decimal(test.engine.get("/api/v1/prices/BTC-USDT")["price"])
        for op, sign in (("crossing_up", 1), ("crossing_down", -1)):
            level = (price + sign * price / 20000).quantize(price)
            test.call("POST", "/alerts", {"symbol": "BTC-USDT", "condition": {"op": op, "level": str(level)}, "channels": [channel["id"]]}, 201)
            created += 1
    time.sleep(2)
    import datetime
    seconds = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    waits = sorted(r["at"] - seconds(json.loads(r["body"])["data"]["recv_time"]) for r in test.sink.of("/fast"))
    assert len(waits) > 20, f"{len(waits)} of {created} crossed"
    print(f"alerts={created} fires={len(waits)} receipt to arrival ms: p50 {waits[len(waits) // 2] * 1000:.1f} "
          f"p99 {waits[len(waits) * 99 // 100] * 1000:.1f} max {waits[-1] * 1000:.1f}")
    assert waits[len(waits) // 2] < 0.5


def test_17_no_way_to_private_addresses(test):
    """The same engine without leave: every spelling of this machine is refused, and nothing arrives."""
    port, made, unsure = test.sink.server_port, [], ("localhost.", socket.gethostname())  # whether a resolver knows these is its own affair
    hosts = ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
             "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "[::]", "169.254.169.254", "10.0.0.1", "[fe80::1]",
             "017700000001", "0x7f000001", "127.0.1", "localhost.", "LOCALHOST", socket.gethostname(), "100.64.0.1", "172.16.0.1", "192.168.0.1",
             "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]",
             "[2002:a9fe:a9fe::1]", "[fc00::1]", "[fd00:ec2::254]", "[2001::1]", "[::127.0.0.1]", "[ff02::1]", "[fe80::1%25lo]"]
    with harness.Engine([f'name: binance, dialect: binance, url: "{test.venue.url}", {RECEIPT}'],
                        ["symbol: BTC-USDT, decimals: 2, size_decimals: 8, sources: {binance: BTCUSDT}"],
                        extra="limits: {requests_per_second: 100000}\n") as engine:
        for host in hosts:
            status, channel, _ = engine.request("POST", "/api/v1/channels", {"type": "webhook", "ttl": "1s", "url": f"http://{host}:{port}/private"}, key=True)
            assert status == 201, (host, channel)
            made.append(channel["id"])
            assert engine.request("POST", f"/api/v1/channels/{channel['id']}:test", b"", key=True)[0] == 202
        rows = harness.wait_for("the end of all", lambda: (lambda d: d if len(d) == len(hosts) else None)(
            engine.get("/api/v1/deliveries?state=dead", key=True)["deliveries"]), 30)
        for row in rows:
            first = engine.get(f"/api/v1/deliveries/{row['id']}", key=True)["attempts"][0]
            host = hosts[made.index(row["channel_id"])]
            nobody_knows = host in unsure and first["error"] == "Couldn't resolve host name"
            assert first["status"] is None and (nobody_knows or first["error"] == "the address is not a public one"), (host, first)
    assert not test.sink.of("/private")


def test_18_certificates_are_checked(test):
    for path, state in ((test.known, "delivered"), (test.unknown, "dead")):
        sink = Sink(path)
        channel = test.call("POST", "/channels", {"type": "webhook", "url": sink.url(), "ttl": "1s"}, 201)
        done = [test.until(test.fire([channel]), state) for _ in range(3)][-1]
        assert len(sink.of("/hook")) == (3 if state == "delivered" else 0)
        assert state == "delivered" or "certificate" in done["attempts"][0]["error"], done
        assert state == "dead" or sink.connections == 1, "the connection is not kept"
        sink.shutdown()


if __name__ == "__main__":
    notify_kit.run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
