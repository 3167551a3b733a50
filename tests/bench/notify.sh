#!/bin/bash
# notify: 10,000 assets x 1 tick/s, of which 1,000 a second fire to one webhook, from the tick to the request
#
# Usage: notify.sh [--quick] [--minutes N] [--rate N] [--assets N] [--recurring N] [--bin DIR] [--keep]
# 10,000 alerts recur; those that fire once fill up what is wanted, made in batches all the time.
# The venue, the engine and the receiver run on this machine; processor time is counted for the engine alone. --quick ends within
# 45 s; --minutes 10 is the long one; --keep leaves configuration and logs in /tmp. Exit code 0: limit kept, nothing missing; 77: not built.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
bin='' assets=10000 rate=1000 recurring=10000 seconds=60 warm_up=10 keep=

while [ $# -gt 0 ]; do
    case "$1" in
    --quick) seconds=15 warm_up=8 ;;
    --bin) bin=$2 && shift ;;
    --assets) assets=$2 && shift ;;
    --rate) rate=$2 && shift ;;
    --recurring) recurring=$2 && shift ;;
    --minutes) seconds=$(($2 * 60)) && shift ;;
    --keep) keep=yes ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift
done

for folder in "$bin" "$here/build/release/bin" "$here/build/dev/bin"; do
    if [ -n "$folder" ] && [ -x "$folder/pxengine" ] && [ -x "$folder/pxvenue" ] && [ -x "$folder/notify_client" ]; then
        bin=$folder
        break
    fi
done
if [ ! -x "$bin/pxengine" ]; then
    echo "SKIP: pxengine, pxvenue and notify_client are not in build/release/bin"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
fi

work=$(mktemp -d /tmp/pxengine-notify.XXXXXX)
venue= engine=
end() {
    [ -n "$engine" ] && kill -TERM "$engine" 2>/dev/null && wait "$engine" 2>/dev/null
    [ -n "$venue" ] && kill -TERM "$venue" 2>/dev/null && wait "$venue" 2>/dev/null
    if [ -n "$keep" ]; then
        echo "kept: $work" >&2
    else
        rm -rf "$work"
    fi
}
trap end EXIT
trap 'exit 130' INT TERM

# Waits up to 5 s for a line that begins with $2 in the file $1, and prints what follows.
await() {
    for _ in $(seq 50); do
        sed -n "s/^$2//p" "$1" | grep -m 1 . && return
        sleep 0.1
    done
    echo "notify: no '$2' in $1" >&2
    return 1
}

market=(--assets "$assets" --seed 7 --no-quotes --time-unit us)
"$bin/pxvenue" "${market[@]}" --list >"$work/list" || exit 1
"$bin/pxvenue" "${market[@]}" --port 0 --quiet --settle 500 --journal "$work/journal" >"$work/venue.out" &
venue=$!
venue_port=$(await "$work/venue.out" port=) || exit 1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

{
    echo "listen: 127.0.0.1:$port"
    echo "data: $work/data"
    echo "log_level: warn"
    echo "notify: {allow_private: [127.0.0.0/8]}"
    echo "limits: {alerts_per_owner: 10000000, requests_per_second: 1000000, subscriptions_per_connection: $assets}"
    echo "venues: [{name: v, dialect: binance, url: \"ws://127.0.0.1:$venue_port\", clock: venue, stale_after: 10s}]"
    echo "assets:"
    awk '{ printf "- {symbol: %s, decimals: %s, size_decimals: %s, tick: \"%s\", sources: {v: %s}}\n", $2, $3, $4, $5, $1 }' \
        "$work/list"
} >"$work/pxengine.yaml"

mkdir -p "$work/data"
key=$("$bin/pxengine" key add --data "$work/data") || exit 1
"$bin/pxengine" run --config "$work/pxengine.yaml" 2>"$work/engine.log" &
engine=$!

"$bin/notify_client" --port "$port" --key "$key" --list "$work/list" --journal "$work/journal" --engine "$engine" \
    --venue "$venue" --seconds "$seconds" --warm-up "$warm_up" --rate "$rate" --recurring "$recurring" >"$work/report"
code=$?
if [ $code -ne 0 ] && [ -s "$work/engine.log" ]; then
    echo "notify: the engine's log ends with" >&2
    tail -n 15 "$work/engine.log" >&2
fi
sed 's/^summary/venue:/p;d' "$work/venue.out"
cat "$work/report"
exit $code
