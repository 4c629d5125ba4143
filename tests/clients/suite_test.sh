#!/usr/bin/env bash
# The clients' suite as a test of Bazel's: suite_test.sh MAIN HOOKGATED ADAPTER GROUP...
set -euo pipefail
main=$1 hookgated=$2 adapter=$3
shift 3
PYTHONDONTWRITEBYTECODE=1 exec python3 "$main" --hookgated="$hookgated" --control="$adapter" "$@" -- "$adapter"
