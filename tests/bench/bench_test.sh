#!/usr/bin/env bash
# Runs every case of the benchmark on next to nothing, and looks at what comes out.
set -euo pipefail
bench=tests/bench/bench
output=$TEST_TMPDIR/results.jsonl

fail() {
  echo "bench_test: $*" >&2
  exit 1
}

core=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')  # one that this test may use
all=$("$bench" --list | cut -d' ' -f1 | paste -sd,)  # also those that --quick leaves out
"$bench" --quick --cases="$all" --scale=0.03 --repeats=1 --folder="$TEST_TMPDIR" --output="$output" \
  --server_core="$core" --load_core="$core" | tee "$TEST_TMPDIR/table"

while read -r name _; do
  line=$(grep "^{\"case\":\"$name\"," "$output") || fail "no JSON line for $name"
  [[ $line =~ \"skipped\":|\"values\":\[[0-9.e+-]+\].*\}$ ]] || fail "not as expected: $line"
  grep -q "^  $name " "$TEST_TMPDIR/table" || fail "no line in the table for $name"
done < <("$bench" --list)

if "$bench" --cases=no_such_case; then fail "an unknown case is taken"; fi
