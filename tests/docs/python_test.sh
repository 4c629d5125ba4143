#!/usr/bin/env bash
# A program in Python as a test of Bazel's: python_test.sh PROGRAM ARGUMENT...
set -euo pipefail
PYTHONDONTWRITEBYTECODE=1 exec python3 "$@"
