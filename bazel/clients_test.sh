#!/usr/bin/env bash
# What bazel/clients makes of --python, before it builds anything; interpreters, and bazel/install, are stand-ins.
#   clients_test.sh FILE...: bazel/clients and client/python/check, from the top of the tree
set -euo pipefail

tree=${TEST_TMPDIR:-$(mktemp -d)}/tree
for file in "$@"; do
  mkdir -p "$tree/$(dirname "$file")"
  cp -L "$file" "$tree/$file"
done
cd "$tree"
export HOME=$tree

# stand_in FILE BODY
stand_in() {
  printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1"
  chmod +x "$1"
}
stand_in bazel/install 'echo "the flags are right"; exit 1'
stand_in new 'echo "Python 3.14.0 /opt/new"'
stand_in old 'echo "Python 3.9.18 /opt/old"'
stand_in other 'echo "$@"'
stand_in mute 'exit 0'
# shellcheck disable=SC2016
stand_in bare '[[ $2 != *ensurepip* ]] && echo "Python 3.12.1 /opt/bare"'

# expect TEXT FLAG...: it ends, not well, and says so.
expect() {
  local text=$1 output
  shift
  output=$(bazel/clients "$@" 2>&1) && {
    echo "bazel/clients $* did not fail"
    exit 1
  }
  [[ $output == *"$text"* ]] || {
    printf 'bazel/clients %s printed:\n%s\ninstead of: %s\n' "$*" "$output" "$text"
    exit 1
  }
}
expect "the flags are right" --python=./new
expect "the flags are right" python --python ./new --python="$tree/new"
expect "there is no interpreter $tree/gone" --python=gone/../gone
expect "$tree/old is Python 3.9; Python 3.10 or newer is needed" --python=./new --python=./old
expect "$tree/other is not a Python interpreter" --python ./other
expect "$tree/mute is not a Python interpreter" --python ./mute
expect "$tree/bare has no venv" --python ./bare
expect "--python takes the path of an interpreter" python --python
expect "--python takes the path of an interpreter" --python= python
expect "--python is for the language python, which is not among: go" go --python=./new

# A path is relative to where it is called from.
mkdir -p "$tree/below"
output=$(cd below && ../bazel/clients --python=../new 2>&1) && exit 1
[[ $output == "the flags are right" ]] || {
  echo "from a folder below: $output"
  exit 1
}
