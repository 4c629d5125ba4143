#!/bin/sh
# Alerts that a batch has failed, and creates it again, once. For:
#
#   hookgate consume batch-retry --exec client/samples/retry_batch.sh
#
# The event is on stdin as JSON, and what is needed of it in HOOKGATE_... . Exit 0 acks. Anything else
# nacks with the last line of stderr as the reason: the event comes again after a back-off, and after
# the last attempt it is a dead letter, which a person looks at.
#
# An event can come twice, so this looks first whether the batch was created again before.
set -eu
failed=$HOOKGATE_EVENT_SUBJECT
batches=${OPENAI_BASE_URL:-https://api.openai.com/v1}/batches

api() { curl -fsS --max-time 20 -H "Authorization: Bearer $OPENAI_API_KEY" "$@"; }

logger -t batch-retry "batch $failed failed (attempt $HOOKGATE_ATTEMPT to create it again)" || true

old=$(api "$batches/$failed")
if [ -n "$(printf '%s' "$old" | jq -r '.metadata.retry_of // empty')" ]; then
  echo "batch $failed was a retry already: a person should look at it" >&2
  exit 1
fi
recent=$(api "$batches?limit=100")
if printf '%s' "$recent" | jq -e --arg id "$failed" 'any(.data[]; .metadata.retry_of == $id)' >/dev/null; then
  echo "batch $failed was created again before"
  exit 0
fi
new=$(printf '%s' "$old" | jq -c --arg id "$failed" \
  '{input_file_id, endpoint, completion_window, metadata: ((.metadata // {}) + {retry_of: $id})}')
# Not in one pipe: its exit code would be that of jq, which takes nothing for an answer.
made=$(api -H 'Content-Type: application/json' -d "$new" "$batches")
printf '%s' "$made" | jq -r --arg id "$failed" '"batch \($id) goes on as \(.id)"'
