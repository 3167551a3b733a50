#!/bin/bash
# Looks at a region with pxshm while its users are being killed.
#
# Usage: shm_view.sh PXSHM SHM_KILL_TEST
pxshm=$1 kill_test=$2 failed=0
work=$(mktemp -d /tmp/pxengine-view.XXXXXX) || exit 1
"$kill_test" --seconds 8 --seed 7 >"$work/kills" &
victim=$!
trap 'kill $victim 2>/dev/null; rm -rf "$work"' EXIT

wrong() {
    echo "shm_view: $1"
    failed=1
}

sleep 0.5
for look in 1 2 3 4 5; do
    "$pxshm" --pid $victim >"$work/text" 2>&1 || wrong "look $look: $(cat "$work/text")"
    for part in '^region .*ready' '^directory' '^ring ticks' '^ring events' '^queue hits' '^pool  depth' '^rcu  epoch' 'pid '; do
        grep -q "$part" "$work/text" || wrong "no '$part' in $(cat "$work/text")"
    done
    "$pxshm" --pid $victim --json >"$work/json" || wrong "look $look in JSON"
    python3 -c 'import json, sys
seen = json.load(open(sys.argv[1]))
assert seen["region"]["ready"] and seen["region"]["supervisor_pid"] == int(sys.argv[2])
assert seen["rings"]["ticks"]["tail"] > 0 and seen["rings"]["ticks"]["intent"] >= seen["rings"]["ticks"]["tail"] - 4096
assert any(reader["alive"] for reader in seen["rcu"]["readers"])
assert seen["pools"]["depth"]["nodes"] > 0
assert len(seen["counters"]) > 20' "$work/json" $victim || wrong "look $look: $(cat "$work/json")"
done

wait $victim # how soon memory came back is what chaos.shm_kill judges, without anybody looking
for part in ' 0 torn, 0 backward' ' 0 wrong' ' 0 lost or wrong' ' 0 changed or poisoned' ' 0 accounts wrong'; do
    grep -q "$part" "$work/kills" || wrong "looking disturbed: $(cat "$work/kills")"
done
"$pxshm" --pid $victim >"$work/text" 2>&1 && wrong "looked at a region that has gone"
"$pxshm" --files /dev/null /dev/null >"$work/text" 2>&1 && wrong "looked at what is no region"
"$pxshm" --help | grep -q 'How to read it' || wrong "--help does not teach"
"$pxshm" --colour >/dev/null 2>&1
[ $? -eq 64 ] || wrong "a wrong option is accepted"
exit $failed
