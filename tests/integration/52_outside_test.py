#!/usr/bin/python3
"""notify and the world outside: in a cage, as a user of its own where root starts the engine; HTTP/2; a mail server that wants TLS and a password.

Usage: 52_outside_test.py [NUMBER...]   Needs pxengine and pxvenue in $PX_BIN.
"""
import email
import email.policy
import json
import os
import pathlib
import pwd
import ssl
import subprocess
import threading

import notify_kit
from notify_kit import check_signature, harness, skip_part

ROOT = os.geteuid() == 0


def status_of(pid):
    rows = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(row.split(":\t", 1) for row in rows if ":\t" in row)


def notify_of(test):
    return harness.wait_for("notify", lambda: test.engine.workers().get("notify"))[0]


def caged(test):
    """The lines in which notify has said what holds it."""
    return [line for line in (test.engine.folder / "engine.log").read_text().splitlines() if " notify caged " in line]


def test_01_notify_is_in_a_cage(test):
    line = harness.wait_for("the cage", lambda: caged(test))[-1]
    pid = notify_of(test)
    status = status_of(pid)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and "seccomp=yes" in line, (status, line)
    uids = set(status["Uid"].split())
    assert uids == ({str(pwd.getpwnam("nobody").pw_uid)} if ROOT else {str(os.geteuid())}), uids
    assert not ROOT or (int(status["CapEff"], 16) == 0 and status["Groups"].strip() == ""), status
    data = str(test.engine.folder / "data")
    held = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [path for path in held if path.startswith(data + "/") and path != data + "/lock"], held
    regions = [line.split() for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines() if "memfd:" in line]
    assert [row for row in regions if row[1] == "r--s"], regions
    assert (test.engine.folder / "data" / "alerts").stat().st_mode & 0o077 == 0, "the store is open to others"
    keeper = test.engine.workers()["keeper"][0]
    assert [path for path in (os.readlink(f"/proc/{keeper}/fd/{fd}") for fd in os.listdir(f"/proc/{keeper}/fd")) if "/alerts/" in path], \
        "the keeper shows what is looked for"


def test_02_it_works_from_there(test):
    """Webhook, and the way back to the keeper after either has died."""
    channel = test.webhook("/caged")
    test.until(test.fire([channel]), "delivered")
    for role in ("keeper", "notify"):
        test.engine.kill(role)
        alert = harness.wait_for("an alert", lambda: (lambda status, made: made if status == 201 else None)(*test.call("POST", "/alerts", {
            "symbol": "BTC-USDT", "condition": {"op": ">=", "level": "0.01"}, "channels": [channel["id"]]})))
        harness.wait_for("its end", lambda: [d for d in test.deliveries(state="delivered") if d["alert_id"] == alert["id"]])
    assert len(caged(test)) == 2, "the new one is in a cage too"


def test_03_http2(test):
    if subprocess.run(["sh", "-c", "command -v node"], stdout=subprocess.DEVNULL).returncode != 0:
        skip_part("node is not installed")
        return
    sink = subprocess.Popen(["node", str(pathlib.Path(__file__).with_name("h2_sink.mjs")), str(test.known)], stdout=subprocess.PIPE, text=True)
    got = []
    try:
        port = int(sink.stdout.readline())
        threading.Thread(target=lambda: got.extend(json.loads(line) for line in sink.stdout), daemon=True).start()
        channel = test.call("POST", "/channels", {"type": "webhook", "url": f"https://127.0.0.1:{port}/h2"}, 201)
        for count in (1, 31):  # one, then a crowd that shares its connection
            for _ in range(count - len(got)):
                test.fire([channel])
            harness.wait_for("all of them", lambda: len(got) == count)
        assert {request["version"] for request in got} == {"2.0"} and got[-1]["sessions"] == 1, [(g["version"], g["sessions"]) for g in got]
        check_signature({"headers": got[0]["headers"], "body": got[0]["body"].encode()}, channel["secret"])
    finally:
        sink.kill()
        sink.wait()
        sink.stdout.close()


def test_04_mail_by_starttls_with_a_password(test):
    try:
        from aiosmtpd.controller import Controller
        from aiosmtpd.smtp import AuthResult
    except ImportError:
        skip_part("python3-aiosmtpd is not installed")
        return
    mails, tries = [], []

    class Box:
        async def handle_DATA(self, server, session, envelope):
            mails.append((session.ssl is not None, session.authenticated, envelope))
            return "250 taken"

    def authenticate(server, session, envelope, mechanism, data):
        tries.append((data.login, data.password))
        return AuthResult(success=data.login == b"joe" and data.password == b"secret words")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(test.known)
    box = Controller(Box(), hostname="127.0.0.1", port=test.mail_port, tls_context=context, require_starttls=True, auth_required=True,
                     authenticator=authenticate)
    box.start()
    try:
        channel = test.call("POST", "/channels", {"type": "email", "to": "me@example.org"}, 201)
        done = test.until(test.fire([channel], message="{{ticker}} up"), "delivered", "dead")
        assert done["state"] == "delivered", done
        [(encrypted, authenticated, envelope)] = mails
        assert encrypted and authenticated and tries[-1] == (b"joe", b"secret words"), (encrypted, authenticated, tries)
        assert envelope.rcpt_tos == ["me@example.org"]
        assert email.message_from_bytes(envelope.content, policy=email.policy.default).get_content().startswith("BTC-USDT up")
    finally:
        box.stop()


def test_05_a_mail_server_without_tls_gets_no_password(test):
    from aiosmtpd.controller import Controller

    class Box:
        async def handle_DATA(self, server, session, envelope):
            raise AssertionError("a mail without TLS")

    tries = []
    box = Controller(Box(), hostname="127.0.0.1", port=test.mail_port, auth_require_tls=False,
                     authenticator=lambda *given: tries.append(given))
    box.start()
    try:
        channel = test.call("POST", "/channels", {"type": "email", "to": "me@example.org", "ttl": "1s"}, 201)
        test.until(test.fire([channel]), "dead")
        assert not tries
    finally:
        box.stop()


if __name__ == "__main__":
    notify_kit.run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
                   {"smtp": ", user: joe, password_file: {password}, ca_file: {ca}", "notify": ", user: nobody" if ROOT else ""})
