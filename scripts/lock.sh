#!/bin/sh
# Writes constraints.txt anew: the newest versions that pyproject.toml allows, all extras included.
# Usage: lock.sh
set -eu

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
python3 -m venv "$fresh"
"$fresh/bin/pip" install --quiet --upgrade pip
"$fresh/bin/pip" install --quiet ".[dev]"
{
    echo "# The versions that \`make run\`, \`make test\` and a release are tested with (Python 3.11 and 3.12)."
    echo "# Renew: make lock"
    # "+cpu" and the like name where a build came from: the next machine has its own
    "$fresh/bin/pip" freeze --exclude edgewatch | sed 's/+.*$//'
} >constraints.txt
echo "constraints.txt written; now: make test"
