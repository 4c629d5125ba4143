#!/usr/bin/env bash
# bazel/release on a copy of the files that it reads and writes; what it starts, the checks, Bazel and bazel/package, are
# stand-ins that write down that they were called.
#   release_test.sh RELEASE FILE...: the paths from the top of the tree
set -euo pipefail

tree=${TEST_TMPDIR:-$(mktemp -d)}/tree
calls=$tree/../calls
mkdir -p "$tree/.ci" "$tree/../bin"
for file in "$@"; do
  mkdir -p "$tree/$(dirname "$file")"
  cp -L "$file" "$tree/$file"
done
chmod -R u+w "$tree"
cd "$tree"

# stand_in FILE NAME: says that it was called, and fails if there is a file fail-NAME.
stand_in() {
  cat >"$1" <<SCRIPT
#!/usr/bin/env bash
echo "$2" "\$@" >>"$calls"
[[ ! -e "$tree/../fail-$2" ]] || exit 1
${3-}
SCRIPT
  chmod +x "$1"
}
stand_in .ci/run ci
stand_in bazel/check check
# shellcheck disable=SC2016
stand_in bazel/package package 'mkdir -p "$1"; cp CHANGELOG.md "$1/hookgate.tar"; cd "$1"; sha256sum hookgate.tar >SHA256SUMS'
# shellcheck disable=SC2016
stand_in bazel/client_packages client_packages 'cd "$1"; cp hookgate.tar hookgate.whl; sha256sum hookgate.whl >>SHA256SUMS'
stand_in "$tree/../bin/bazel" bazel 'echo "message hookgate.v1.New = 1" >>proto/api.txt'
echo '/dist/' >.gitignore
# The release is made on Debian 12; this test runs elsewhere, too.
printf '#!/bin/sh\necho glibc ${GLIBC-2.36}\n' >"$tree/../bin/getconf"
chmod +x "$tree/../bin/getconf"
export PATH=$tree/../bin:$PATH HOME=$tree/.. GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.com GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@example.com
unset GIT_DIR GIT_WORK_TREE

# The tree of this test is on its way to 3.0.0, whatever the real one is.
sed -i 's/^VERSION = ".*"/VERSION = "3.0.0-dev"/' bazel/version.bzl
grep -q '^## \[Unreleased\]$' CHANGELOG.md
sed -i 's/^## \[Unreleased\]$/&\n\n- What the test brings./' CHANGELOG.md
git init --quiet .
git symbolic-ref HEAD refs/heads/main
git add --all --force .
git commit --quiet --message "the tree"
start=$(git rev-parse HEAD)

failed=0
# expect WHAT COMMAND...
expect() {
  local what=$1
  shift
  "$@" || {
    echo "NOT OK: $what"
    failed=1
  }
}
# refuses TEXT WORD...: bazel/release WORD... fails, says TEXT, and leaves the last commit as it is.
refuses() {
  local text=$1 before status=0 said
  shift
  before=$(git rev-parse HEAD)
  said=$(bazel/release "$@" 2>&1) || status=$?
  if ((status == 0)) || [[ $said != *"$text"* || $(git rev-parse HEAD) != "$before" ]]; then
    echo "NOT OK: bazel/release $* does not refuse with \"$text\"; exit code $status: $said"
    failed=1
  fi
}
runs() {
  bazel/release "$@" >"$tree/../said" 2>&1 || {
    echo "NOT OK: bazel/release $*:"
    cat "$tree/../said"
    failed=1
  }
}
called() { grep -c "^$1\b" "$calls" || true; }
is_clean() { [[ -z $(git status --porcelain) ]]; }
: >"$calls"

# --- Refusals, each with what would be right -----------------------------------------------------

refuses 'which version?'
refuses '"3.0" is not a version' 3.0
refuses '"v3.0.0" is not a version' v3.0.0
refuses '"3.0.0-dev" is not a version' 3.0.0-dev
refuses '"3.00.0" is not a version' 3.00.0
refuses 'there is no flag --dry' --dry 3.0.0
refuses '2.9.0 is before that' 2.9.0
GLIBC=2.41 refuses 'releases are built on Debian 12' 3.0.0
echo change >>README.md
touch new.txt
refuses 'commit them, or remove them: README.md, new.txt' 3.0.0
git checkout --quiet README.md
rm new.txt
git switch --quiet --create other
refuses 'this is other, and releases are made on main' 3.0.0
git switch --quiet --detach
refuses 'this is no branch, and releases are made on main' 3.0.0
git switch --quiet main
sed -i '/^- What the test brings/d; /^## \[Unreleased\]/,/^## \[0/{/^## /!d}' CHANGELOG.md
git commit --quiet --all --message "nothing to say"
refuses 'CHANGELOG.md says nothing under "Unreleased"' 3.0.0
git reset --quiet --hard "$start"
git tag v3.1.0
refuses '3.0.0 is not behind v3.1.0' 3.0.0
git tag --delete v3.1.0 >/dev/null
touch ../fail-ci
refuses 'since .ci/run fails' 3.0.0
rm ../fail-ci
touch ../fail-check
refuses 'since bazel/check fails' 3.0.0
rm ../fail-check
expect "refusals write nothing" is_clean
expect "and tag nothing" test -z "$(git tag)"

# --- What a dry run shows ------------------------------------------------------------------------

: >"$calls"
runs --dry-run 3.0.0
expect "it shows the version" grep -q '^+VERSION = "3.0.0"$' ../said
expect "it shows the changelog's heading" grep -q '^+## \[3.0.0\] - 20' ../said
expect "it calls nothing" test ! -s "$calls"
expect "it writes nothing" is_clean
expect "it commits nothing" test "$(git rev-parse HEAD)" = "$start"

# --- A release that is interrupted again and again -----------------------------------------------

touch ../fail-bazel
refuses '' 3.0.0
rm ../fail-bazel
expect "it came as far as writing" grep -q '^VERSION = "3.0.0"$' bazel/version.bzl
echo mine >>client/go/other.go
refuses 'commit them, or remove them: client/go/other.go' 3.0.0
rm client/go/other.go
touch ../fail-package
bazel/release 3.0.0 >../said 2>&1 && expect "it fails with bazel/package" false
expect "it says how to go on" grep -q 'start this again for the packages' ../said
rm ../fail-package
touch ../fail-client_packages
bazel/release 3.0.0 >../said 2>&1 && expect "it fails with bazel/client_packages" false
expect "it says what of" grep -q 'packages of the clients are not built' ../said
rm ../fail-client_packages
expect "what passed is not checked again" test "$(called ci) $(called check)" = "1 1"
expect "it is committed" test "$(git log -1 --format=%s)" = "release: 3.0.0"
expect "as one commit" test "$(git rev-parse HEAD^)" = "$start"
for tag in v3.0.0 client/go/v3.0.0 client/go/opentelemetry/v3.0.0; do
  expect "it is tagged $tag" test "$(git rev-parse "$tag^{commit}")" = "$(git rev-parse HEAD)"
done
runs 3.0.0 --jobs=1
expect "bazel/package gets folder and flags" grep -qx 'package dist/3.0.0 --jobs=1' "$calls"
expect "the clients' packages stand beside" grep -q hookgate.whl dist/3.0.0/SHA256SUMS
expect "the tree is clean" is_clean
expect "nothing is left of the run" test ! -e .git/hookgate-release
for place in 'bazel/version.bzl:^VERSION = "3.0.0"$' 'client/go/version.go:^const Version = "3.0.0"$' \
  'client/go/opentelemetry/go.mod:/client/go v3.0.0$' 'client/typescript/src/version.ts:VERSION = "3.0.0";$' 'client/typescript/package.json:"version": "3.0.0"'; do
  expect "the version is in ${place%%:*}" grep -q "${place#*:}" "${place%%:*}"
done
expect "it is in package-lock.json twice" test "$(grep -c '"version": "3.0.0"' client/typescript/package-lock.json)" = 2
expect "the listing of the API is renewed" grep -q 'hookgate.v1.New' proto/api.txt
expect "no page names another package" test -z "$(grep -hoE 'hookgate(-client)?[_:-][0-9]+\.[0-9]+\.[0-9]+' README.md docs/*.md | grep -v '3\.0\.0$')"
expect "the new section has the text" test "$(awk '/^## /{n++} n == 2' CHANGELOG.md | grep -c 'What the test brings')" = 1
expect "\"Unreleased\" stands before it, empty" test -z "$(awk '/^## /{n++; next} n == 1' CHANGELOG.md | tr -d '[:space:]')"
expect "so does the tag" grep -q 'What the test brings' <(git tag --list --format='%(contents)' v3.0.0)
expect "with its headings" grep -q '^### Added' <(git tag --list --format='%(contents)' v3.0.0)

# --- What comes behind it ------------------------------------------------------------------------

refuses 'the tree is 3.0.0 and not on its way to a version: bazel/release --begin 3.0.1' --checked 3.0.1
refuses '2.0.0 is not behind 3.0.0' --begin 2.0.0
runs --begin 3.1.0
expect "the next begins in each module" grep -q '/client/go v3.1.0-dev$' client/go/opentelemetry/go.mod
expect "the next begins" grep -q '^VERSION = "3.1.0-dev"$' bazel/version.bzl
expect "as a commit" test "$(git log -1 --format=%s)" = "version: 3.1.0-dev"
expect "of all places" is_clean
refuses 'v3.0.0 is tagged already' 3.0.0
refuses 'so that its release comes first: bazel/release 3.1.0' --begin 3.2.0
refuses 'the tree is 3.1.0-dev already' --begin 3.1.0
refuses 'CHANGELOG.md says nothing under "Unreleased"' 3.1.0
sed -i 's/^## \[Unreleased\]$/&\n\n- A mended library./' CHANGELOG.md
git commit --quiet --all --message "changelog: a library"
: >"$calls"
runs --checked 3.1.0
expect "with --checked nothing is checked" test "$(called ci) $(called check) $(called package)" = "0 0 1"
expect "and the next one is tagged" test "$(git tag)" = "$(printf '%s\n' client/go{/opentelemetry,}/v3.{0,1}.0 v3.{0,1}.0)"

if ((failed)); then exit 1; fi
echo "All well"
