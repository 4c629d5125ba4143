#!/usr/bin/env bash
# The bench on next to nothing, of C++ alone: that it measures everything, not what.
#   bench_test.sh MAIN.PY HOOKGATED CPP_WORKER
set -euo pipefail
table=$TEST_TMPDIR/table

fail() {
  cat "$table" >&2
  echo "bench_test: $*" >&2
  exit 1
}

PYTHONDONTWRITEBYTECODE=1 python3 "$1" --hookgated="$PWD/$2" --cpp-worker="$PWD/$3" --languages=cpp --events=1000 \
  --rounds=1 --kills=1 --folder="$TEST_TMPDIR" >"$table"
grep -Eq '^\| C\+\+ \| Subscribe \| [0-9,]+/s \| [0-9,]+/s \| [0-9.]+ ' "$table" || fail "no line for Subscribe"
grep -Eq '^\| C\+\+ \| Consume \| [0-9,]+/s \| [0-9,]+/s \| [0-9.]+ ' "$table" || fail "no line for Consume"
grep -Eq '^\| C\+\+ \| [0-9.]+ MiB' "$table" || fail "no line for memory"
