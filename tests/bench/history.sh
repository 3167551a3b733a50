#!/bin/bash
# history: the same ticks into pxengine and into other databases: ingest, bytes on disk, charts
#
# Usage: history.sh [--quick] [--bin DIR] [--peers a,b,...] [--keep]
# Peers: duckdb, clickhouse (both from PyPI, into build/bench-python), postgresql, redis, influxdb (Debian's packages; installed when root
# runs this), timescaledb (in neither: measured where PostgreSQL has the extension). Everything runs on this machine, one after the other; processor time is the database's own. Exit code 0: ahead of
# every peer in every column; 77: not built.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$here/build/release/bin python=$here/build/bench-python peers=duckdb,clickhouse,postgresql,timescaledb,redis,influxdb arguments=()

while [ $# -gt 0 ]; do
    case "$1" in
    --quick | --keep) arguments+=("$1") ;;
    --bin) bin=$2 && shift ;;
    --peers) peers=$2 && shift ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift
done
if [ ! -x "$bin/pxengine" ] || [ ! -x "$bin/history_store" ]; then
    echo "SKIP: pxengine and history_store are not in $bin"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
fi
if [ ! -e "$python/done" ]; then
    echo "Installing the peers' Python packages into $python"
    python3 -m venv "$python" && "$python/bin/pip" install -q numpy pyarrow chdb duckdb psycopg2-binary && touch "$python/done" || exit 1
fi
leave_out() {
    echo "$1 is not installed: left out"
    peers=$(tr , '\n' <<<"$peers" | grep -vx "$1" | paste -sd,)
}
for package in postgresql redis-server influxdb; do
    [[ ,$peers, = *,${package%-server},* ]] || continue
    [ "$(dpkg-query -W -f='${db:Status-Status}' $package 2>/dev/null)" = installed ] && continue
    [ "$(id -u)" = 0 ] && echo "Installing $package" && apt-get install -y -q --no-install-recommends $package >/dev/null 2>&1 && continue
    leave_out "${package%-server}"
done
[[ ,$peers, = *,timescaledb,* ]] && ! compgen -G '/usr/share/postgresql/*/extension/timescaledb.control' >/dev/null && leave_out timescaledb
PX_BIN=$bin exec "$python/bin/python" "$here/tests/bench/history.py" --peers "$peers" "${arguments[@]}"
