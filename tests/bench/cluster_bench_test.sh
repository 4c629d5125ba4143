#!/usr/bin/env bash
# That the cluster's benchmark measures each thing that it says, on very little. The figures mean nothing here.
set -uo pipefail
bench=tests/bench/cluster_bench

# expect WHAT PATTERN: the benchmark's output has a line like that.
expect() {
  grep -qE "$2" "$TEST_TMPDIR/out" && return
  echo "no line about $1 in:"
  cat "$TEST_TMPDIR/out"
  exit 1
}
run() {
  # A server's socket needs a short path.
  "$bench" --folder=/tmp --seconds=0.2 --rounds=1 "$@" >"$TEST_TMPDIR/out" || {
    cat "$TEST_TMPDIR/out"
    exit 1
  }
}

run --what=rates --engines=embedded,postgresql --connections=8
expect "the gateway that is alone" '^embedded +8 connections +[0-9]+ webhooks/s'
if ! grep -q '^skipped' "$TEST_TMPDIR/out"; then
  expect "the cluster" '^postgresql +8 connections .* the engine by itself +[0-9]+ events/s'
  run --what=takeover --engines=postgresql --kills=1
  expect "the takeover" '^postgresql +1 kills of the leader'
  run --what=catch_up --engines=postgresql --events=1000
  expect "the replica that was empty" '^postgresql +an empty replica applied 1000 events'
fi
"$bench" --what=nothing 2>/dev/null && exit 1
echo "each was measured"
