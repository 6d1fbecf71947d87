#!/bin/sh
# Look for known vulnerabilities of what requirements.lock pins, for a scheduled run: 0 none, 1 some, which are listed.
# It needs Python with venv and a network; pip-audit comes into a folder of its own that is removed in the end.
# Arguments are handed on to pip-audit, such as --format json or --ignore-vuln ID.
set -eu

lock="$(cd "$(dirname "$0")/../.." && pwd)/requirements.lock"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
# The lock is whole, so nothing is resolved and nothing of it is installed. What cannot be looked up is a failure, too.
"$scratch/venv/bin/pip-audit" --requirement "$lock" --require-hashes --disable-pip --strict --progress-spinner off "$@"
