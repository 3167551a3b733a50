#!/bin/bash
# shm: ring, wake-up, RCU and latch, beside Redis pub/sub and Streams
#
# Usage: shm.sh [--quick] [--bin DIR]
# Starts a Redis server of its own, without persistence, and measures both in the same run, in turns; figures are medians.
# "A vs B" says how many times better the engine is than B over the better of B's two sockets: events ours / theirs; wake-ups, processor
# time and resync theirs / ours. --quick ends within 45 s.
# Exit code 77: redis-server is not installed or shm_bench is not built.
here=$(cd "$(dirname "$0")/../.." && pwd)
bin='' quick=''

while [ $# -gt 0 ]; do
    case "$1" in
    --quick) quick=--quick ;;
    --bin) bin=$2 && shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift
done

skip() {
    echo "SKIP: $1"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
}

for folder in "$bin" "$here/build/release/bin" "$here/build/dev/bin"; do
    [ -n "$folder" ] && [ -x "$folder/shm_bench" ] && bin=$folder && break
done
[ -x "$bin/shm_bench" ] || skip "shm_bench is not in build/release/bin"
command -v redis-server >/dev/null || skip "redis-server is not installed"

work=$(mktemp -d /tmp/pxengine-shm.XXXXXX) || exit 1
redis=
end() {
    [ -n "$redis" ] && kill "$redis" 2>/dev/null && wait "$redis" 2>/dev/null
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

# A free port may be taken before Redis binds it: then the next one.
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    redis-server --port "$port" --bind 127.0.0.1 --unixsocket "$work/redis.sock" --dir "$work" --save '' --appendonly no \
        --daemonize no --client-output-buffer-limit 'pubsub 0 0 0' >"$work/redis.log" 2>&1 &
    redis=$!
    for _ in $(seq 50); do
        grep -q 'Ready to accept connections\|The server is now ready' "$work/redis.log" && break 2
        kill -0 "$redis" 2>/dev/null || break
        sleep 0.1
    done
done
kill -0 "$redis" 2>/dev/null || { cat "$work/redis.log" && exit 1; }

redis-server --version | sed 's/ sha=.*//'
"$bin/shm_bench" "$work/redis.sock" "$port" "$redis" $quick
