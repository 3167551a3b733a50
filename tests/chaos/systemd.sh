#!/bin/bash
# The region and a real systemd: does it survive restarts and kill -9 of the main process in the manager's FD store?
#
# Usage: systemd.sh [--bin DIR] [--kills N] [--keep TAR]
# Boots a minimal Debian with systemd in a container and runs the engine there by debian/pxengine.service as it is. The control is a
# stop: that empties the store, and the region must be a new one. Root, mmdebstrap, systemd-container, and a Debian mirror ($PX_MIRROR).
# --keep TAR saves the file system there or takes it from there. Not in CTest, since it needs a mirror and about a minute and a half.
# Exit code 77: something that it needs is not here.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$here/build/dev/bin kills=5 tar='' mirror=${PX_MIRROR:-http://deb.debian.org/debian}

while [ $# -gt 0 ]; do
    case "$1" in
    --bin) bin=$2 ;;
    --kills) kills=$2 ;;
    --keep) tar=$2 ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 64 ;;
    esac
    shift 2
done

skip() {
    echo "SKIP: $1"
    [ "${PX_REQUIRE_ALL:-}" = 1 ] && exit 1
    exit 77
}
[ "$(id -u)" = 0 ] || skip "only root may boot a container"
for command in mmdebstrap systemd-nspawn nsenter; do
    command -v "$command" >/dev/null || skip "$command is not installed"
done
[ -x "$bin/pxengine" ] && [ -x "$bin/pxvenue" ] || skip "pxengine and pxvenue are not in $bin"

work=$(mktemp -d /var/tmp/pxengine-systemd.XXXXXX) || exit 1
root=$work/root nspawn='' init=''

# Without a manager on the host, nspawn leaves its control groups behind.
end() {
    [ -n "$init" ] && inside systemctl poweroff >/dev/null 2>&1
    for _ in $(seq 100); do
        [ -n "$nspawn" ] && kill -0 "$nspawn" 2>/dev/null || break
        sleep 0.1
    done
    [ -n "$nspawn" ] && kill -9 "$nspawn" ${init:+"$init"} 2>/dev/null && wait "$nspawn" 2>/dev/null
    [ -n "$nspawn" ] && rmdir /sys/fs/cgroup/{,systemd/,unified/}{payload/init.scope,payload,supervisor} 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap end EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $1"
    [ -n "$init" ] && inside journalctl --no-pager -n 40 -u pxengine
    exit 1
}

inside() { nsenter -t "$init" -a -- "$@"; }

# within SECONDS COMMAND...: until it succeeds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.02
    done
}

# ---- the file system ----

# Of the libraries that the programs want.
library_packages() {
    ldd "$bin/pxengine" "$bin/pxvenue" | awk '/=> \// {print $3}' | sort -u | while read -r path; do
        dpkg -S "$path" 2>/dev/null || dpkg -S "/usr$path" 2>/dev/null || dpkg -S "$(readlink -f "$path")"
    done | cut -d: -f1 | sort -u
}

[ -n "$tar" ] || tar=$work/root.tar
if [ ! -s "$tar" ]; then
    packages=$(library_packages | tr '\n' ',')
    mmdebstrap --quiet --variant=minbase --include="${packages}systemd,systemd-sysv,dbus,adduser,ca-certificates,curl" \
        bookworm "$tar" "$mirror" || skip "no Debian from $mirror"
    echo "a Debian with systemd: $SECONDS s"
fi
mkdir "$root" && tar -xf "$tar" -C "$root" || exit 1
install -m 0755 "$bin/pxengine" "$bin/pxvenue" "$root/usr/bin/" || exit 1
install -m 0644 "$here/debian/pxengine.service" "$root/lib/systemd/system/"
mkdir -p "$root/etc/pxengine"
cat >"$root/etc/pxengine/pxengine.yaml" <<'YAML'
listen: 127.0.0.1:8080
data: /var/lib/pxengine
venues:
  - {name: market, dialect: binance, url: "ws://127.0.0.1:9443"}
assets:
  - {symbol: BTC-USD, decimals: 8, size_decimals: 8, sources: {market: BTCUSD}}
YAML
cat >"$root/lib/systemd/system/market.service" <<'UNIT'
[Service]
ExecStart=/usr/bin/pxvenue --port 9443 --quiet --symbols BTCUSD --rate 50
UNIT
chroot "$root" adduser --system --group --home /var/lib/pxengine --no-create-home --quiet pxengine || exit 1

# ---- boot ----

systemd-nspawn --quiet --register=no --keep-unit --private-network -D "$root" --boot </dev/null >"$work/boot.log" 2>&1 &
nspawn=$!
leader() { init=$(pgrep -P "$nspawn" | head -n 1) && [ -n "$init" ] && inside systemctl is-active multi-user.target; }
within 60 leader || { cat "$work/boot.log" && fail "the container did not boot"; }
inside systemctl --version | head -n 1

# ---- what is asked ----

metric() { inside curl -s http://127.0.0.1:8080/metrics | awk -v name="pxengine_$1" '$1 ~ "^" name "({|$)" {sum += $2} END {print int(sum)}'; }
ready() { inside curl -sf -o /dev/null http://127.0.0.1:8080/readyz; }
flows() { [ "$(metric stored_ticks_total)" -gt "$1" ]; }
show() { inside systemctl show -P "$1" pxengine; }
epoch() { inside curl -s -H "X-API-Key: $key" http://127.0.0.1:8080/api/v1/status | sed -n 's/.*"epoch":[ ]*"\(k[0-9]*\)".*/\1/p'; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }
main_is_new() { [ "$(show MainPID)" != "$1" ] && [ "$(show MainPID)" != 0 ]; }
two_kept() { [ "$(show NFileDescriptorStore)" = 2 ]; }

# survives WHAT COMMAND...: the same region afterwards, one boot older, its counters not begun anew.
survives() {
    local what=$1 main boots stored before began
    shift
    main=$(show MainPID) boots=$(metric region_boots) stored=$(metric stored_ticks_total) before=$(epoch)
    began=$(now_ms)
    "$@" || fail "$what: the command failed"
    within 30 main_is_new "$main" || fail "$what: no new main process"
    within 30 ready || fail "$what: not ready"
    echo "$what: ready after $(($(now_ms) - began)) ms, epoch $(epoch), boots $(metric region_boots)"
    [ "$(epoch)" = "$before" ] || fail "$what: epoch $before became $(epoch)"
    [ "$(metric region_boots)" -gt "$boots" ] || fail "$what: boots $boots became $(metric region_boots)"
    within 20 flows "$stored" || fail "$what: the counters began anew, or no ticks flow"
    within 5 two_kept || fail "$what: the manager keeps $(show NFileDescriptorStore) descriptors, not 2"
}

# ---- the test ----

inside systemctl start market || fail "no market"
inside systemctl start pxengine || fail "the unit did not start"
within 30 ready || fail "not ready"
inside runuser -u pxengine -- pxengine key add --data /var/lib/pxengine >"$work/key" || fail "no key"
key=$(tail -n 1 "$work/key")
within 30 flows 20 || fail "no ticks"
has_epoch() { [ -n "$(epoch)" ]; }
within 20 has_epoch || fail "no epoch: $(inside curl -s -H "X-API-Key: $key" http://127.0.0.1:8080/api/v1/status | head -c 300)"
first=$(epoch)
echo "started: epoch $first, boots $(metric region_boots), $(show NFileDescriptorStore) descriptors kept"

survives "restart" inside systemctl restart pxengine
for number in $(seq "$kills"); do
    survives "kill -9 no. $number" inside sh -c "kill -9 $(show MainPID)"
done
survives "restart after the kills" inside systemctl restart pxengine
[ "$(show NRestarts)" = 0 ] || echo "restarts that systemd counts since: $(show NRestarts)"
inside journalctl --no-pager -o cat -u pxengine | grep -o 'region-taken-over.*' | sed 's/^/  /'

# The control.
inside systemctl stop pxengine || fail "it did not stop"
inside systemctl start pxengine || fail "it did not start again"
within 30 ready || fail "not ready after the stop"
[ "$(epoch)" != "$first" ] || fail "a stop empties the store, and yet the epoch is still $first: what survived was not in the store"
[ "$(metric region_boots)" = 1 ] || fail "a new region, and boots $(metric region_boots)"
echo "stop and start: a new region, epoch $(epoch)"
echo "ok $((kills + 2)) takeovers through systemd's FD store, in $SECONDS s altogether"
