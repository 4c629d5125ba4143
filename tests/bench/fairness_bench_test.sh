#!/usr/bin/env bash
# Runs every case of the benchmark on next to nothing, and looks at what comes out.
set -euo pipefail

core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')  # one that this test may use
output=$(tests/bench/fairness_bench --scale=0.002 --folder="$TEST_TMPDIR" \
  --server_core="$core" --load_core="$core")
echo "$output"
for case in narrow redelivery consumers; do
  grep -q "^$case: " <<<"$output" || { echo "nothing of $case" >&2; exit 1; }
done
