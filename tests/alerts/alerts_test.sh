#!/usr/bin/env bash
# docs/alerts.yml is what Prometheus takes, and each rule fires when it should.
set -euo pipefail
if ! command -v promtool >/dev/null; then
  echo "skipped: promtool is not installed (bazel/check --install, Debian's package prometheus)"
  exit 0
fi
folder=$(mktemp -d "${TEST_TMPDIR:-/tmp}/alerts.XXXXXX")
cp "$1" "$folder/alerts.yml"
cp "$2" "$folder/alerts_test.yml"
cd "$folder"
promtool check rules alerts.yml
promtool test rules alerts_test.yml
