#!/usr/bin/python3
"""What people and strangers get wrong: each gets a clear error, nothing is lost, nothing dies."""
import json
import pathlib
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import harness


def problem(answer, status, code, *says):
    got, body, headers = answer
    assert got == status, f"{got}, not {status}: {body}"
    assert headers["Content-Type"].startswith("application/problem+json"), headers["Content-Type"]
    assert body["code"] == code and body["status"] == status and body["request_id"], body
    text = json.dumps(body)
    for word in says:
        assert word in text, f"'{word}' is not in {text}"


def alert(**changes):
    return {"symbol": "BTC-USD", "condition": {"op": "crossing_up", "level": "70000"}} | changes


def post(engine, body):
    return engine.request("POST", "/api/v1/alerts", body, key=True)


def bodies(engine):
    problem(post(engine, b'{"symbol": "BTC-USD", "condition"'), 400, "bad_request", "line")
    problem(post(engine, b"\xff\xfe{}"), 400, "bad_request")
    problem(post(engine, b"[" * 5000), 400, "bad_request")
    problem(post(engine, alert(symbol="XX-YY")), 404, "unknown_symbol", "/symbol")
    for level in ("seventy", "7e", "", "0x10", "1_000", "NaN", "-1", "0", "1" * 40):
        problem(post(engine, alert(condition={"op": "crossing_up", "level": level})), 422, "validation", "/condition/level")
    problem(post(engine, alert(condition={"op": "crossing_up", "level": 70000.5})), 422, "validation", "/condition/level", "string")
    problem(post(engine, alert(condition={"op": "jumps", "level": "1"})), 422, "validation", "/condition/op")
    problem(post(engine, alert(colour="red")), 422, "validation", "/colour")
    huge = b'{"name": "' + b"x" * (1 << 20) + b'"}'
    for _ in range(10): # the answer comes before the body has been sent, and arrives all the same
        problem(post(engine, huge), 413, "too_large")


def strangers(engine):
    """Half requests, garbage, and a WebSocket that says nonsense: others are served meanwhile."""
    for bytes_ in (b"GET / HT", b"\x00" * 500, b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
                   b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", engine.port)) as link:
            link.sendall(bytes_)
            engine.get("/api/v1/time")
    listener = harness.Listener(engine, [{"method": "subscribe"}, {"method": 5}, [], {"method": "subscribe", "params": {
        "channel": "ticker", "symbol": ["XX-YY"]}, "req_id": 9}])
    harness.wait_for("an answer to nonsense", lambda: any(f.get("req_id") == 9 for f in listener.frames), 10)
    answer = [f for f in listener.frames if f.get("req_id") == 9][0]
    assert answer["success"] is False and answer["code"] == "unknown_symbol", answer
    listener.close()


def config(folder, text, *says):
    path = pathlib.Path(folder) / "wrong.yaml"
    path.write_text(text)
    run = subprocess.run([harness.BIN / "pxengine", "run", "--config", path], capture_output=True, text=True, timeout=10)
    assert run.returncode == 78, f"exit code {run.returncode}"
    for word in says:
        assert word in run.stderr, f"'{word}' is not in {run.stderr}"


def main():
    with harness.Venue("--symbols", "BTCUSD", "--rate", "5") as venue, \
            harness.Engine([f"name: v, dialect: binance, url: \"{venue.url}\""],
                           ["symbol: BTC-USD, decimals: 2, sources: {v: BTCUSD}"]) as engine:
        status, kept, _ = post(engine, alert(condition={"op": "crossing_up", "level": "9999999"}))
        assert status == 201, kept
        before = engine.workers()
        bodies(engine)
        strangers(engine)
        config(engine.folder, "listne: 127.0.0.1:80\n", "wrong.yaml:1:1:", "did you mean 'listen'")
        config(engine.folder, "venues:\n  - {name: v, dialect: bitfinex, url: \"ws://x\"}\nassets: []\n", "wrong.yaml:2:", "bitfinex", "binance")
        time.sleep(0.2)
        assert engine.workers() == before, "a worker died of it"
        rows = engine.pages("/api/v1/alerts", "alerts")
        assert [row["id"] for row in rows] == [kept["id"]], rows
        print("ok every mistake has its answer, nobody died, the alert is there")


if __name__ == "__main__":
    main()
