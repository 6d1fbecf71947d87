#!/usr/bin/env bash
# Builds the bundle and the licences of its packages from the lock file, reproducibly.
# With --check it writes nothing, and fails on unformatted sources or a difference from the committed files.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD

# In a temporary folder, so that the Python package contains no node_modules.
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p "$work/dashboard/map" "$work/compute/demo"
cp -r .npmrc package.json package-lock.json licences.js src "$work/dashboard/map"
cp ../../compute/demo/coast.geojson "$work/compute/demo"
cd "$work/dashboard/map"

npm ci --ignore-scripts --silent
npx --no-install esbuild src/index.js --bundle --format=esm --minify --target=es2022 --legal-comments=none \
  --loader:.css=text --loader:.html=text --loader:.json=text --loader:.geojson=text --log-level=warning \
  --metafile=meta.json --outfile=map.bundle.js
node licences.js meta.json > THIRD_PARTY.txt

if [ "${1:-}" = --check ]; then
  npx --no-install prettier --check --log-level=warn src licences.js package.json
  cmp map.bundle.js "$here/map.bundle.js"
  cmp THIRD_PARTY.txt "$here/THIRD_PARTY.txt"
else
  npx --no-install prettier --write --log-level=warn "$here/src" "$here/licences.js" "$here/package.json"
  cp map.bundle.js THIRD_PARTY.txt "$here"
fi
