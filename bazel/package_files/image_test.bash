# Runs the image that oci_image_test.py has unpacked, as a container runtime does: as process 1 of its own, as the image's
# user, with nothing of this system but its network, which should be one that nothing else uses.
#   image_test.bash FOLDER
set -euo pipefail
folder=$1
mapfile -d '' command <"$folder/command"
mapfile -d '' health <"$folder/health"
mapfile -d '' environment <"$folder/environment"
secret=whsec_$(head -c 32 /dev/urandom | base64 -w 0)
chroot=$(command -v chroot) # The image's PATH has no /usr/sbin.
failures=0
runtime=
ip link set lo up
trap '[[ -z $runtime ]] || kill -KILL "$runtime" 2>/dev/null || true' EXIT

check() {
  local what=$1
  shift
  if "$@" >/dev/null 2>&1; then
    echo "   ok: $what"
  else
    echo "   NOT OK: $what"
    failures=$((failures + 1))
  fi
}
inside() { env -i "${environment[@]}" "OPENAI_WEBHOOK_SECRET=$secret" "$chroot" --userspec=65532:65532 "$folder/rootfs" "$@"; }
is_unwell() { ! inside "${health[@]}"; }
# Sets runtime, which ends as the container does, and container, the process id of its first process.
start() {
  env -i "${environment[@]}" "OPENAI_WEBHOOK_SECRET=$secret" unshare --pid --fork --kill-child \
    "$chroot" --userspec=65532:65532 "$folder/rootfs" "${command[@]}" >"$folder/out" 2>"$folder/log" &
  runtime=$!
  for _ in {1..200}; do
    inside "${health[@]}" >/dev/null 2>&1 && break
    sleep 0.1
  done
  container=$(pgrep -P "$runtime") || {
    cat "$folder/log"
    exit 1
  }
}
stop() {
  local status=0
  kill -TERM "$container"
  wait "$runtime" || status=$?
  runtime=
  return "$status"
}
field() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$container/status"; }

start
check "its health check is well" inside "${health[@]}"
check "it is process 1" grep -qE '[[:space:]]1$' <(field NSpid)
check "it is not root" test "$(field Uid | cut -f1)" = 65532
check "it has no capability" test "$(field CapEff)" = 0000000000000000
check "a webhook is stored" inside /usr/bin/hookgate send --subject batch_image --webhook-id wh_image
check "SIGTERM ends it with exit code 0" stop
check "without it the health check fails" is_unwell
start
check "the event is there after a restart" grep -q wh_image <(inside /usr/bin/hookgate events --since 1h --output json)
check "SIGTERM ends it again" stop
if ((failures)); then
  cat "$folder/log"
  exit 1
fi
