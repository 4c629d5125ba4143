# Starts, reloads, upgrades and stops hookgated as the unit of the package has it, on a system that systemd runs.
#   unit_test.bash PREVIOUS_DEB NEW_DEB
# It changes the system that it runs on: for one that is thrown away.
set -euo pipefail
previous=$1
new=$2
config=/etc/hookgate/hookgate.textproto
secret=/etc/hookgate/secrets/openai

failures=0
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
property() { systemctl show --property="$1" --value hookgated; }
status_has() { [[ $(property StatusText) == *"$1"* ]]; }
status_has_not() { ! status_has "$1"; }
send() { hookgate send --secret-file "$secret" --subject "$1" --webhook-id "wh_$1"; }
has_event() { hookgate events --since 1h --subject "$1" --output json | grep -q "wh_$1"; }

dpkg --install "$previous" >/dev/null
check "without a secret nothing is started" test "$(property ActiveState)" = inactive
check "a start without one fails" bash -c '! systemctl start hookgated'
check "and is not tried again: the config is wrong" test "$(property NRestarts)" = 0 -a "$(property ExecMainStatus)" = 2
echo "whsec_$(head -c 32 /dev/urandom | base64 -w 0)" >"$secret"
check "with a secret it starts" systemctl start hookgated
check "and serves when start returns" hookgate ready
check "its status says where" status_has "Serving http=127.0.0.1:8080 "
check "a webhook is stored" send before
check "its log is its own alone" test "$(stat -c '%a %U' /var/lib/hookgate)" = "700 hookgate"
process=$(property MainPID)
check "it has no right of root's" grep -q 'CapEff:[[:space:]]*0000000000000000' "/proc/$process/status"
check "its system calls are filtered" grep -q 'Seccomp:[[:space:]]*2' "/proc/$process/status"

echo 'logging { level: "debug" }' >>"$config"
cp "$config" /root/config
check "a reload is done" systemctl reload hookgated
check "and is not refused" status_has_not refused
echo 'http { nonsense' >>"$config"
systemctl reload hookgated || true
check "one with a wrong config is refused, says its status" status_has refused
check "and it goes on" send during
cp /root/config "$config"
check "the next one is well" systemctl reload hookgated
check "says its status" status_has_not refused
check "it is the same process still" test "$(property MainPID)" = "$process"

kill -KILL "$process"
for _ in {1..100}; do hookgate ready >/dev/null 2>&1 && break || sleep 0.2; done
check "after a crash it is started again" has_event during
process=$(property MainPID)
check "an upgrade is installed" dpkg --install "$new"
check "and runs" test "$(property MainPID)" != "$process"
check "its events are there" has_event before
check "it stops" systemctl stop hookgated
check "in good order" test "$(property Result)" = success
check "an upgrade of one that was stopped" dpkg --install "$new"
check "leaves it stopped" test "$(property ActiveState)" = inactive
systemctl start hookgated
check "removing the package" dpkg --remove hookgate
check "stops it" bash -c '! hookgate ready && ! pgrep -x hookgated'
if ((failures)); then
  journalctl --no-pager --unit=hookgated --lines=40 --output=cat
  exit 1
fi
