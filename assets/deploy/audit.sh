#!/bin/sh
# List known vulnerabilities of the versions in requirements.lock; exit code 0 without any, else 1. Run it on a schedule.
# It needs Python with venv and a network. pip-audit is installed in a temporary folder that is removed at the end.
# Arguments are passed to pip-audit, such as --format json or --ignore-vuln ID.
set -eu

lock="$(cd "$(dirname "$0")/../.." && pwd)/requirements.lock"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'
# The lock is complete, so nothing is resolved or installed. --strict also fails on packages that cannot be looked up.
"$scratch/venv/bin/pip-audit" --requirement "$lock" --require-hashes --disable-pip --strict --progress-spinner off "$@"
