#!/bin/bash
# alerts: durable ticks a second beside Redis, memory at 1M, 10M and 100M alerts, creation, restart, one tick that fires 100,000
#
# The keeper's own book and store in one process (tests/bench/alerts_bench.c), and Redis 7 with an append-only file that is synced always, on a
# unix socket; the same alerts, the same ticks, on the same disk, in five rounds by turns. The fires must be equal in number. Alerts beside memory at
# 100M are rows of the index alone: to create so many takes an hour.
#
#   alerts.sh [--quick] [--bin DIR] [--dir DIR]
#
# Metrics: durable_ticks_vs_redis (ours / Redis, the median of the rounds), rss_mb_1m, rss_mb_10m, rss_mb_100m (anonymous memory; the last not with --quick), creates_per_s,
# restart_10m_s (1M with --quick): until values are judged. Of the jump, with a keeper in a process of its own: jump_first_ms (an event that readers see),
# jump_all_ms (durable: no death can undo any of its fires), jump_told_ms (the last event), jump_other_tick_delay_ms (from the next tick of another asset
# to its event, more than without a jump).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$here/../../build/release/bin quick= dir=${TMPDIR:-/tmp}
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --bin) bin=$2 && shift ;;
    --dir) dir=$2 && shift ;;
    *)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
    shift
done
command -v redis-server >/dev/null || {
    echo "SKIP: redis-server is not installed"
    exit 77
}
work=$(mktemp -d "$dir/pxengine-alerts.XXXXXX")
redis=
trap '[ -n "$redis" ] && kill "$redis" 2>/dev/null; rm -rf "$work"' EXIT

start_redis() {
    mkdir -p "$work/redis"
    redis-server --port 0 --unixsocket "$work/redis.sock" --dir "$work/redis" --appendonly yes --appendfsync always --save "" >"$work/redis.log" 2>&1 &
    redis=$!
    for _ in $(seq 100); do
        [ -S "$work/redis.sock" ] && return 0
        sleep 0.1
    done
    tail -n 5 "$work/redis.log"
    exit 1
}

# measure NAME ARGUMENT...: one run in a folder of its own; its last line is JSON.
measure() {
    local name=$1
    shift
    mkdir -p "$work/$name"
    "$bin/alerts_bench" "$work/$name" "$@" >"$work/$name.out" || {
        cat "$work/$name.out"
        exit 1
    }
    rm -rf "${work:?}/$name"
    sed '$d' "$work/$name.out"
}

figure() { sed -n '$s/.*"'"$2"'":\([0-9.a-z]*\).*/\1/p' "$work/$1.out"; }

start_redis
if [ -n "$quick" ]; then
    measure 1m --alerts 100000 --ticks 200000 --assets 1000 --jump 20000 --redis "$work/redis.sock"
    main=1m
else
    measure 1m --alerts 1000000 --ticks 1000000
    measure 10m --alerts 10000000 --ticks 1000000 --jump 100000 --redis "$work/redis.sock"
    measure 100m --alerts 100000000 --ticks 1000000 --index-only
    main=10m
fi
printf '{"durable_ticks_vs_redis":%s,"creates_per_s":%s,"restart_10m_s":%s,"jump_first_ms":%s,"jump_all_ms":%s,"jump_told_ms":%s,"jump_other_tick_delay_ms":%s,"rss_mb_1m":%s' \
    "$(figure $main durable_ticks_vs_redis)" "$(figure $main creates_per_s)" "$(figure $main restart_s)" "$(figure $main jump_first_ms)" \
    "$(figure $main jump_all_ms)" "$(figure $main jump_told_ms)" "$(figure $main jump_other_tick_delay_ms)" "$(figure 1m rss_mb)"
[ -n "$quick" ] || printf ',"rss_mb_10m":%s,"rss_mb_100m":%s' "$(figure 10m rss_mb)" "$(figure 100m rss_mb)"
printf '}\n'
