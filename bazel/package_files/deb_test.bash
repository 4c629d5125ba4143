# Installs, upgrades, removes and purges the package, on a system without systemd, and looks at what is there each time.
#   deb_test.bash PREVIOUS_DEB NEW_DEB
# It changes the system that it runs on: for a chroot that is thrown away.
set -euo pipefail
previous=$1
new=$2
data=/var/lib/hookgate
config=/etc/hookgate/hookgate.textproto
secret=/etc/hookgate/secrets/openai
unit=/usr/lib/systemd/system/hookgated.service
wanted=/etc/systemd/system/multi-user.target.wants/hookgated.service

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
is() { [[ $(stat -c '%a %U:%G' "$1") == "$2" ]]; }
starts_with_system() { [[ -L $wanted && $(realpath "$wanted") == "$unit" ]]; }
version() { dpkg-query --show --showformat='${Version}' hookgate; }
install_deb() { apt-get install -y -q --no-install-recommends --allow-downgrades "$1" >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; return 1; }; }

# What systemd does with the unit, by hand: the folder, the credential, the user. Then runs COMMAND with HTTP and
# HOOKGATE_GRPC set to where it serves, and ends it.
with_gateway() {
  local ready status=0
  mkdir -p -m 700 "$data"
  chown hookgate:hookgate "$data"
  mkdir -p /run/credentials/hookgated.service
  install -o hookgate -m 400 "$secret" /run/credentials/hookgated.service/secrets_openai
  exec 3< <(exec setpriv --reuid=hookgate --regid=hookgate --clear-groups hookgated --config="$config" \
    --http_address=127.0.0.1:0 --grpc_address=127.0.0.1:0 --admin_address=127.0.0.1:0 2>/tmp/hookgated.log)
  local gateway=$!
  read -r ready <&3 || { cat /tmp/hookgated.log; return 1; }
  HTTP=http://$(sed 's/.* http=\([^ ]*\).*/\1/' <<<"$ready")
  HOOKGATE_GRPC=$(sed 's/.* grpc=\([^ ]*\).*/\1/' <<<"$ready")
  HOOKGATE_ADMIN_URL=http://$(sed 's/.* admin=\([^ ]*\).*/\1/' <<<"$ready")
  export HOOKGATE_GRPC HOOKGATE_ADMIN_URL
  "$@" || status=$?
  kill "$gateway"
  wait "$gateway" || status=$?
  exec 3<&-
  return "$status"
}
send() { hookgate ready && hookgate send --url "$HTTP" --secret-file "$secret" --subject "$1" --webhook-id "wh_$1"; }
has_event() { hookgate events --since 1h --subject "$1" --output json | grep -q "wh_$1"; }

echo "-- install $(basename "$previous")"
check "it is installed" install_deb "$previous"
check "the user is there" getent passwd hookgate
check "the config is root's and the group's" is "$config" "640 root:hookgate"
check "secrets are root's" is /etc/hookgate/secrets "700 root:root"
check "the unit starts with the system" starts_with_system
check "nothing was started" test ! -e "$data"
check "completions and manual pages are there" test -s /usr/share/bash-completion/completions/hookgate
echo "whsec_$(head -c 32 /dev/urandom | base64 -w 0)" >"$secret"
chmod 600 "$secret"
check "a webhook is stored" with_gateway send before
check "the log is its owner's alone" is "$data" "700 hookgate:hookgate"

echo "-- upgrade to $(basename "$new")"
before=$(version)
echo "# the operator's own line" >>"$config"
check "it is installed" install_deb "$new"
check "it is another version" test "$(version)" != "$before"
check "the operator's config stays" grep -q "the operator's own line" "$config"
check "and is the group's still" is "$config" "640 root:hookgate"
check "the event is there" with_gateway has_event before
check "another is stored" with_gateway send after

echo "-- remove"
check "it is removed" dpkg --remove hookgate
check "the programs are gone" test ! -e /usr/bin/hookgated
check "config, secret and log stay" test -s "$config" -a -s "$secret" -a -s "$data/events.db"

echo "-- install again"
check "it is installed" install_deb "$new"
check "the unit starts with the system" starts_with_system
check "the events are there" with_gateway has_event after

echo "-- purge"
check "it is purged" dpkg --purge hookgate
check "config and secrets are gone" test ! -e /etc/hookgate
check "so are the links of the unit" test ! -e "$wanted" -a ! -e /etc/systemd/system/hookgated.service
check "the log stays" test -s "$data/events.db"
check "it can be installed again" install_deb "$new"
check "as the first time" is /etc/hookgate/secrets "700 root:root"
check "and purged" dpkg --purge hookgate

if ((failures)); then
  echo "$failures checks failed"
  exit 1
fi
