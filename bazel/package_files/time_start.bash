# How long the binaries of FOLDER take to start, in ms: the median of 11 starts.
#   time_start.bash FOLDER
set -euo pipefail
export OPENAI_WEBHOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

median() { sort -n | sed -n 6p; }
microseconds() { echo "${EPOCHREALTIME/[.,]/}"; }

for _ in {1..11}; do
  begin=$(microseconds)
  "$1/hookgate" --version >/dev/null
  echo $((($(microseconds) - begin) / 100))
done | median | sed 's/\(.\)$/.\1 ms   hookgate --version/; s/^\./0./'

for _ in {1..11}; do
  begin=$(microseconds)
  exec 3< <(exec "$1/hookgated" --http_address=127.0.0.1:0 --grpc_address=127.0.0.1:0 --admin_address=127.0.0.1:0 \
    --data_dir="$folder/data" 2>"$folder/log")
  gateway=$!
  read -r ready <&3
  end=$(microseconds)
  [[ $ready == "ready "* ]] || exit 1
  kill "$gateway"
  wait "$gateway" || true
  exec 3<&-
  echo $(((end - begin) / 100))
done | median | sed 's/\(.\)$/.\1 ms   hookgated, until it serves/; s/^\./0./'
