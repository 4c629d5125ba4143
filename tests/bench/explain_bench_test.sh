#!/usr/bin/env bash
# Runs the benchmark on next to nothing, and looks at what comes out.
set -euo pipefail

output=$(tests/bench/explain_bench --events=2000 --subscriptions=5 --consumed=200 --queries=5 \
  --folder="$TEST_TMPDIR")
echo "$output"
[[ $(grep -c '^  ExplainEvent .* p99 ' <<<"$output") == 4 ]] || { echo "not all of ExplainEvent" >&2; exit 1; }
[[ $(grep -c '^  ListDeliveries.* p99 ' <<<"$output") == 3 ]] || { echo "not all of ListDeliveries" >&2; exit 1; }
