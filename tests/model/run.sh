#!/bin/bash
# Searches one model completely with Spin.
#
# Usage: run.sh MODEL [-DVARIANT ...] [--progress] [--fails TEXT]
# MODEL is a file of this folder without .pml. Without --fails the search must come to its end with no error; with it, it must find
# an error whose text has TEXT in it. --progress looks for cycles without progress instead of broken assertions.
# Exit code 77: spin is not installed.
set -u
here=$(cd "$(dirname "$0")" && pwd)
model=$1 && shift
defines=() fails='' compile=(-DSAFETY) search=()

while [ $# -gt 0 ]; do
    case "$1" in
    -D*) defines+=("$1") ;;
    --progress) compile=(-DNP) && search=(-l) ;;
    --fails) fails=$2 && shift ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift
done

if ! command -v spin >/dev/null; then
    echo "SKIP: spin is not installed"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
fi

work=$(mktemp -d /tmp/pxengine-model.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

spin "${defines[@]}" -a "$here/$model.pml" >spin.out 2>&1 || { cat spin.out && exit 1; }
"${CC:-gcc}" -O2 -w "${compile[@]}" -DMEMLIM=2000 -DCOLLAPSE -o pan pan.c || exit 1
./pan "${search[@]}" -m200000 >report 2>&1
grep -E '^pan|^State-vector|states, stored|errors:' report

if grep -q 'max search depth too small\|memory limit\|out of memory' report; then
    echo "$model: the search did not come to its end" && exit 1
elif [ -z "$fails" ]; then
    grep -q 'errors: 0' report || { spin -t -p "${defines[@]}" "$here/$model.pml" 2>/dev/null | tail -60 && exit 1; }
elif ! grep -q 'errors: [1-9]' report || ! grep -q "$fails" report; then
    echo "$model: this variant is broken, and the search did not see '$fails'" && exit 1
fi
