#!/bin/bash
# history_load: 10,000 assets x 1 tick/s for long: disk, memory, and how old history is when it is read
#
# Usage: history_load.sh [--quick] [--bin DIR] [--assets N] [--minutes N]
# The venue, the engine and the clients run on this machine; processor time and disk bytes are counted for the engine alone. Latencies are
# taken by a client with a connection that stays open, from the request to the last byte. Exit code 0: within the limits; 77: not built.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$here/build/release/bin arguments=()

while [ $# -gt 0 ]; do
    case "$1" in
    --quick) arguments+=(--quick) ;;
    --bin) bin=$2 && shift ;;
    --assets | --minutes) arguments+=("$1" "$2") && shift ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift
done
if [ ! -x "$bin/pxengine" ] || [ ! -x "$bin/pxvenue" ]; then
    echo "SKIP: pxengine and pxvenue are not in $bin"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
fi
PX_BIN=$bin exec /usr/bin/python3 "$here/tests/bench/history_load.py" "${arguments[@]}"
