#!/bin/bash
# Fetches the dashboard's chart library once into DIR (default build/vendor): one file, which the engine serves itself.
#
#   cmake/fetch-charts.sh [DIR]
#
# npm fetches it where npm is installed, else curl does, from the registry that npm would use. Whoever brings it, the archive
# must have the digest below: the one that the registry publishes as its integrity, in hex.
set -euo pipefail

name=lightweight-charts
version=5.2.1
sha512=215c282b544b1622cfb9b68a22335bb6358b9e93ccaa20014ab4dacbac2198d6bc2f5fb5f76f7656d1c9f815b23d4b8b0b0174b5c42584459dd422c1d9ad67b1
file=$name.standalone.production.js

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${1:-$root/build/vendor}
[ -s "$dir/$file" ] && [ "$(cat "$dir/$file.version" 2>/dev/null)" = "$version" ] && exit 0

mkdir -p "$dir"
work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

# The registry that npm is told of in the environment or in the user's file.
registry() {
    local said=${npm_config_registry:-${NPM_CONFIG_REGISTRY:-}}
    if [ -z "$said" ] && [ -r "$HOME/.npmrc" ]; then
        said=$(sed -n 's/^[[:space:]]*registry[[:space:]]*=[[:space:]]*//p' "$HOME/.npmrc" | tail -n 1)
    fi
    said=${said:-https://registry.npmjs.org}
    echo "${said%/}"
}

fetch() {
    if command -v npm >/dev/null; then
        (cd "$work" && npm pack --silent --ignore-scripts "$name@$version" >/dev/null) && return
        echo "fetch-charts: npm could not fetch $name@$version, trying curl" >&2
    fi
    command -v curl >/dev/null || {
        echo "fetch-charts: neither npm nor curl is installed; install curl (./px up does)" >&2
        return 1
    }
    curl --fail --silent --show-error --location --retry 2 --max-time 60 --max-filesize 5000000 \
        --output "$work/$name-$version.tgz" "$(registry)/$name/-/$name-$version.tgz"
}

fetch || {
    echo "fetch-charts: $name@$version could not be fetched; without it the dashboard has no chart" >&2
    exit 1
}
echo "$sha512  $work/$name-$version.tgz" | sha512sum --check --status || {
    echo "fetch-charts: what came is not $name@$version: its SHA-512 differs; nothing was kept" >&2
    exit 1
}
tar -xzf "$work/$name-$version.tgz" -C "$work" --no-same-owner package/dist/$file package/LICENSE
mv "$work/package/LICENSE" "$dir/$name.LICENSE"
mv "$work/package/dist/$file" "$dir/$file"
echo "$version" >"$dir/$file.version"
