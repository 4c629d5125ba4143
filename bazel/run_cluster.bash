# shellcheck shell=bash
# The part of bazel/run that --cluster runs, sourced by it: three gateways with one log on an engine of this machine. Its
# variables and functions are bazel/run's: once, hookgated, hookgate, folder, step, check, wait_for, says, failures.

nats=${XDG_CACHE_HOME:-$HOME/.cache}/hookgate-cluster/bin/nats-server
[[ -x $nats ]] || nats=$(command -v nats-server)
# 2.9 and older cannot sync what they store before they acknowledge it.
[[ -n $nats && $("$nats" --version) =~ v([0-9]+)\.([0-9]+)\. ]] &&
  ((BASH_REMATCH[1] > 2 || BASH_REMATCH[1] == 2 && BASH_REMATCH[2] >= 10)) || nats=
postgres=$(compgen -G '/usr/lib/postgresql/*/bin' | sort --version-sort | tail --lines=1)
if [[ -z $nats$postgres ]]; then
  echo "bazel/run: a cluster needs PostgreSQL (Debian's package postgresql) or nats-server 2.10 or newer, and neither is" >&2
  echo "installed: bazel/check --install does it" >&2
  exit 1
fi

names=(a b c)
engine_pids=()
gateway_pids=()
subscriber_pids=()
end_cluster() {
  local pid
  for pid in "${subscriber_pids[@]}" "${gateway_pids[@]}"; do kill "$pid"; done
  wait "${subscriber_pids[@]}" "${gateway_pids[@]}"
  # For PostgreSQL a fast shutdown.
  for pid in "${engine_pids[@]}"; do kill -INT "$pid"; done
  wait "${engine_pids[@]}"
  rm -rf "$folder"
} 2>/dev/null
trap end_cluster EXIT

# fail WHAT FILE...: ends with what the files say.
fail() {
  echo "   NOT OK: $1" >&2
  shift
  tail --lines=30 "$@" >&2
  exit 1
}

# free_port: one of loopback below those that the system gives out by itself, as `port`; none twice.
port=$((20000 + RANDOM % 8000))
free_port() {
  port=$((port + 1))
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
}

# --- The engine -------------------------------------------------------------------------------

start_nats() {
  step "Starting three NATS servers whose JetStream syncs always"
  local -a ports=() monitoring=() routes=()
  local i route
  for i in 0 1 2; do
    free_port && ports+=("$port")
    free_port && monitoring+=("$port")
    free_port && routes+=("$port")
  done
  engine="jetstream {"
  for i in 0 1 2; do
    {
      printf 'server_name: n%s\nhost: 127.0.0.1\nport: %s\nhttp: 127.0.0.1:%s\nmax_payload: 8388608\n' \
        "$i" "${ports[i]}" "${monitoring[i]}"
      printf 'jetstream {\n  store_dir: "%s"\n  sync_interval: always\n}\n' "$folder/engine/n$i"
      printf 'cluster {\n  name: run\n  listen: 127.0.0.1:%s\n  routes: [\n' "${routes[i]}"
      for route in "${routes[@]}"; do printf '    nats://127.0.0.1:%s\n' "$route"; done
      printf '  ]\n}\n'
    } >"$folder/engine/n$i.conf"
    setpriv --pdeathsig=KILL "$nats" --config "$folder/engine/n$i.conf" >"$folder/engine/n$i.log" 2>&1 &
    engine_pids+=($!)
    engine+=" servers: \"nats://127.0.0.1:${ports[i]}\" monitoring_urls: \"http://127.0.0.1:${monitoring[i]}\""
  done
  engine+=" }"
  # Each of them has to know who leads the three before a log can be made.
  for i in 0 1 2; do
    wait_for says 'HTTP/1.1 200 ' "127.0.0.1:${monitoring[i]}" '/healthz?js-enabled-only=true' ||
      fail "server n$i is up" "$folder/engine/n$i.log"
  done
  wait_for grep -qh 'JetStream cluster new metadata leader' "$folder"/engine/n?.log ||
    fail "the servers have a leader" "$folder"/engine/n?.log
}

start_postgres() {
  step "Starting PostgreSQL $("$postgres/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/') with a synchronous standby"
  local -a as_user=(setpriv --pdeathsig=KILL)
  if [[ $(id -u) == 0 ]]; then
    # It refuses root.
    as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig=KILL)
    chmod 711 "$folder" && chown 65534:65534 "$folder/engine"
  fi
  local log=$folder/engine.log settings=$folder/engine/primary/postgresql.conf
  # Over sockets in that folder alone, so that no port is taken.
  local primary="host=$folder/engine user=postgres dbname=postgres port=1"
  {
    "${as_user[@]}" "$postgres/initdb" --pgdata="$folder/engine/primary" --username=postgres --auth=trust \
      --no-locale --encoding=UTF8 --data-checksums --no-sync &&
      printf "listen_addresses = ''\nunix_socket_directories = '%s'\nshared_buffers = 16MB\n" "$folder/engine" \
        >>"$settings"
  } >"$log" 2>&1 || fail "the database is made" "$log"
  "${as_user[@]}" "$postgres/postgres" -D "$folder/engine/primary" -p 1 >>"$log" 2>&1 &
  engine_pids+=($!)
  wait_for "$postgres/psql" "$primary" --command='select 1' || fail "the primary is up" "$log"
  {
    "${as_user[@]}" "$postgres/pg_basebackup" --pgdata="$folder/engine/standby" --dbname="$primary" --checkpoint=fast \
      --no-sync --wal-method=stream &&
      printf "primary_conninfo = '%s application_name=standby'\n" "$primary" \
        >>"$folder/engine/standby/postgresql.auto.conf" &&
      : >"$folder/engine/standby/standby.signal"
  } >>"$log" 2>&1 || fail "the standby is made" "$log"
  "${as_user[@]}" "$postgres/postgres" -D "$folder/engine/standby" -p 2 >>"$log" 2>&1 &
  engine_pids+=($!)
  "$postgres/psql" "$primary" --quiet --command="alter system set synchronous_standby_names = 'standby'" \
    --command='select pg_reload_conf()' >>"$log" 2>&1 || fail "the primary waits for the standby" "$log"
  is_synchronous() {
    [[ $("$postgres/psql" "$primary" --quiet --tuples-only --no-align \
      --command='select sync_state from pg_stat_replication') == sync ]]
  }
  wait_for is_synchronous || fail "the standby follows" "$log"
  engine="postgresql { uri: \"host=$folder/engine,$folder/engine port=1,2 user=postgres dbname=postgres\" }"
}

mkdir "$folder/engine"
engine=
if [[ -n $nats ]]; then start_nats; else start_postgres; fi

# --- Three gateways ---------------------------------------------------------------------------

# The replicas know each other by certificates of an authority that is for them alone.
peer_ports=()
if command -v openssl >/dev/null; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=replicas' \
    -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
  for i in 0 1 2; do
    free_port && peer_ports+=("$port")
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=${names[i]}" \
      -keyout "$folder/${names[i]}.key" -out "$folder/${names[i]}.csr" 2>/dev/null
    openssl x509 -req -in "$folder/${names[i]}.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial \
      -days 2 -extfile <(echo "subjectAltName=DNS:${names[i]}") -out "$folder/${names[i]}.crt" 2>/dev/null
  done
fi
peers_of() {
  [[ -n ${peer_ports[0]-} ]] || return
  local other
  printf '  peers {\n    listen_address: "127.0.0.1:%s"\n' "${peer_ports[$1]}"
  printf '    tls { certificate_file: "%s.crt" key_file: "%s.key" client_ca_file: "%s" }\n' \
    "$folder/${names[$1]}" "$folder/${names[$1]}" "$folder/ca.crt"
  for other in 0 1 2; do
    [[ $other == "$1" ]] ||
      printf '    peers { name: "%s" address: "127.0.0.1:%s" }\n' "${names[other]}" "${peer_ports[other]}"
  done
  printf '  }\n'
}

# As OpenAI would hand it out: 32 random bytes.
OPENAI_WEBHOOK_SECRET="whsec_$(head -c 32 /dev/urandom | base64 -w 0)"
export OPENAI_WEBHOOK_SECRET

http=(127.0.0.1:0 127.0.0.1:0 127.0.0.1:0)
grpc=("${http[@]}")
admin=("${http[@]}")
# start_gateway REPLICA: on the addresses that it had.
start_gateway() {
  local name=${names[$1]}
  (
    umask 077
    printf 'cluster {\n  name: "run"\n  replica: "%s"\n  %s\n%s}\n' "$name" "$engine" "$(peers_of "$1")" \
      >"$folder/$name.textproto"
  )
  : >"$folder/$name.ready"
  "$hookgated" --config="$folder/$name.textproto" --http_address="${http[$1]}" --grpc_address="${grpc[$1]}" \
    --admin_address="${admin[$1]}" --data_dir="$folder/$name" --log_format=text >"$folder/$name.ready" \
    2>>"$folder/$name.log" &
  gateway_pids[$1]=$!
  wait_for grep -q '^ready' "$folder/$name.ready" || fail "gateway $name is up" "$folder/$name.log"
  http[$1]=$(sed -n 's/^ready.* http=\([^ ]*\).*/\1/p' "$folder/$name.ready")
  grpc[$1]=$(sed -n 's/^ready.* grpc=\([^ ]*\).*/\1/p' "$folder/$name.ready")
  admin[$1]=$(sed -n 's/^ready.* admin=\([^ ]*\).*/\1/p' "$folder/$name.ready")
}

step "Starting three gateways, each with a folder of its own, and one log"
for i in 0 1 2; do
  start_gateway "$i"
  echo "   gateway ${names[i]}: webhooks http://${http[i]}/webhooks/openai, gRPC ${grpc[i]}"
done

leader=
find_leader() {
  local i
  for i in 0 1 2; do
    if [[ -n ${gateway_pids[i]-} ]] && says 'HTTP/1.1 200 ' "${admin[i]}" /leaderz; then
      leader=$i
      return 0
    fi
  done
  return 1
}
wait_for find_leader || fail "one of them leads" "$folder"/[abc].log
echo "   ok: ${names[leader]} leads: it decides what is stored, and the others follow"

step "Subscribing at each of them"
for i in 0 1 2; do
  "$hookgate" subscribe --from earliest --output json --grpc "${grpc[i]}" >"$folder/${names[i]}.events" \
    2>"$folder/${names[i]}.subscriber" &
  subscriber_pids[i]=$!
done

# --- Webhooks, and a gateway that dies --------------------------------------------------------

# send WEBHOOK_ID: as a load balancer does, to one after the other until it is answered 200; says who took it.
send() {
  local i tries
  for ((tries = 0; tries < 2000; tries++)); do
    i=$(((tries + leader) % 3))
    [[ -n ${gateway_pids[i]-} ]] || continue
    "$hookgate" send --url "http://${http[i]}" --webhook-id "$1" --subject "batch_$1" --timeout 3s \
      >"$folder/answer" 2>&1
    if grep -q '^200' "$folder/answer"; then
      echo "   $(head -n 1 "$folder/answer"), taken by ${names[i]}"
      return 0
    fi
    sleep 0.02
  done
  fail "webhook $1 is taken by somebody" "$folder/answer"
}

step "Sending three webhooks"
for id in wh_1 wh_2 wh_3; do send "$id"; done

killed=$leader
step "Killing the leader, ${names[killed]}, with SIGKILL, and sending at once"
{
  kill -KILL "${gateway_pids[killed]}"
  wait "${gateway_pids[killed]}"
} 2>/dev/null # where bash would tell of it
unset "gateway_pids[killed]"
leader=$(((killed + 1) % 3))
begin=${EPOCHREALTIME/./}
send wh_4
took=$(((${EPOCHREALTIME/./} - begin) / 1000))
wait_for find_leader || fail "another one leads" "$folder"/[abc].log
echo "   ok: ${names[leader]} leads now; the webhook waited $took ms for it"
for id in wh_5 wh_6; do send "$id"; done
step "Sending wh_1 again, which the dead leader stored"
send wh_1
check "${names[leader]} knows it as a duplicate" grep -q '^200 duplicate' "$folder/answer"

step "Starting ${names[killed]} again on the folder that it had"
start_gateway "$killed"

step "What the subscribers saw"
saw_all() { [[ $(grep -c '"sequence"' "$1") -ge 6 ]]; }
# ids FILE: SEQUENCE ID, a line for each event.
ids() { sed 's/.*"sequence": *"\([0-9]*\)".*"webhook_id": *"\([^"]*\)".*/\1 \2/' "$1"; }
for i in 0 1 2; do
  name=${names[i]}
  wait_for saw_all "$folder/$name.events"
  ids "$folder/$name.events" >"$folder/$name.ids"
  echo "   at $name: $(paste --serial --delimiters=, "$folder/$name.ids" | sed 's/,/, /g')"
  check "at $name each of the six, once, in order" \
    diff <(printf '%s\n' '1 wh_1' '2 wh_2' '3 wh_3' '4 wh_4' '5 wh_5' '6 wh_6') "$folder/$name.ids"
done

step "What each gateway holds: hookgate events"
for i in 0 1 2; do
  "$hookgate" events --all --order oldest --output json --grpc "${grpc[i]}" >"$folder/${names[i]}.held"
  check "${names[i]} holds the same" diff <(ids "$folder/${names[i]}.held") "$folder/${names[leader]}.ids"
done

# --- The end, or the beginning ----------------------------------------------------------------

if [[ -n $once ]]; then
  step "Ending them (SIGTERM)"
  kill "${subscriber_pids[@]}" 2>/dev/null
  for i in 0 1 2; do
    kill "${gateway_pids[i]}"
    wait "${gateway_pids[i]}"
    check "${names[i]} ended with exit code 0" test $? = 0
    unset "gateway_pids[i]"
  done
  echo
  if ((failures)); then
    echo "$failures checks failed; what the gateways logged:"
    tail --lines=40 "$folder"/[abc].log
    exit 1
  fi
  echo "All as it should be."
  exit 0
fi

cat <<NEXT

== Your turn: in other terminals, in $PWD

  export OPENAI_WEBHOOK_SECRET='$OPENAI_WEBHOOK_SECRET'
  $hookgate send --url http://${http[leader]}
  $hookgate subscribe --from earliest --grpc ${grpc[0]}
  $hookgate status --grpc ${grpc[0]}
  kill -KILL ${gateway_pids[leader]}    # ${names[leader]}, the leader
  kill -STOP ${gateway_pids[leader]}    # the same, and -CONT: it comes back, and leads no more

Ctrl-C here ends all of it and removes its data.
NEXT
wait # A signal ends the wait at once.
