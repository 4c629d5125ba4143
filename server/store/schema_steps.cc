#include "server/store/schema_steps.h"

#include <iterator>

namespace hookgate {
namespace {

// Step i leads from version i to version i + 1. A step that has been released never changes.
constexpr SchemaStep kSteps[] = {
    // 0 to 1.
    {R"sql(
CREATE TABLE log (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch TEXT NOT NULL,
  earliest_sequence INTEGER NOT NULL
);
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  type TEXT NOT NULL,
  subject TEXT NOT NULL,
  failure INTEGER NOT NULL,
  receive_time_us INTEGER NOT NULL,
  envelope BLOB NOT NULL,
  raw_body BLOB NOT NULL
);
CREATE UNIQUE INDEX events_by_webhook ON events (source, webhook_id);
CREATE INDEX events_by_time ON events (receive_time_us);
-- Holds all that a filter looks at, so that counting failures does not read the table.
CREATE INDEX failures_by_time ON events (receive_time_us, sequence, source, type, subject)
  WHERE failure = 1;
-- AUTOINCREMENT: an id that a person has noted never means another webhook later.
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  webhook_time_us INTEGER NOT NULL,
  first_receive_time_us INTEGER NOT NULL,
  last_receive_time_us INTEGER NOT NULL,
  receive_count INTEGER NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  raw_body BLOB NOT NULL,
  UNIQUE (source, webhook_id)
);
CREATE INDEX quarantine_by_time ON quarantine (last_receive_time_us);
)sql"},
    // 1 to 2.
    {R"sql(
-- AUTOINCREMENT: a delivery id that a consumer still holds never means one of another subscription.
CREATE TABLE subscriptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  settings BLOB NOT NULL,
  create_time_us INTEGER NOT NULL,
  position INTEGER NOT NULL,
  last_delivery INTEGER NOT NULL,
  void_delivery INTEGER NOT NULL,
  lost INTEGER NOT NULL
);
CREATE TABLE unsettled_events (
  subscription INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  receive_time_us INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  leased INTEGER NOT NULL,
  due_us INTEGER NOT NULL,
  delay_us INTEGER NOT NULL,
  cause INTEGER NOT NULL,
  nack_reason TEXT NOT NULL,
  first_delivery_time_us INTEGER NOT NULL,
  last_delivery_time_us INTEGER NOT NULL,
  PRIMARY KEY (subscription, sequence)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
  subscription INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  receive_time_us INTEGER NOT NULL,
  delivery INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  cause INTEGER NOT NULL,
  nack_reason TEXT NOT NULL,
  first_delivery_time_us INTEGER NOT NULL,
  last_delivery_time_us INTEGER NOT NULL,
  dead_letter_time_us INTEGER NOT NULL,
  PRIMARY KEY (subscription, sequence)
) WITHOUT ROWID;
)sql"},
    // 2 to 3. What is found by source and webhook id from now on; who opens the log fills it.
    {R"sql(
CREATE TABLE webhook_runs (
  last_sequence INTEGER PRIMARY KEY,
  filter BLOB NOT NULL
);
CREATE TABLE webhook_pages (
  id INTEGER PRIMARY KEY,
  entries BLOB NOT NULL
);
DROP INDEX events_by_webhook;
)sql"},
    // 3 to 4. Each event is in one index by time: each that is written takes about a microsecond,
    // and who asks for all events can merge two.
    {R"sql(
DROP INDEX events_by_time;
CREATE INDEX other_events_by_time ON events (receive_time_us) WHERE failure = 0;
)sql"},
    // 4 to 5.
    {R"sql(
-- How many deliveries of an event were lost with their stream.
ALTER TABLE unsettled_events ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
-- What was lost before its filter had judged it; what the filter let pass and admitted.
ALTER TABLE subscriptions ADD COLUMN lost_unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN admitted INTEGER NOT NULL DEFAULT 0;
-- Which history a sequence, a delivery and an epoch belong to. What was numbered before has no
-- mark.
CREATE TABLE stretches (
  first_sequence INTEGER PRIMARY KEY,
  mark INTEGER NOT NULL
);
CREATE TABLE delivery_stretches (
  subscription INTEGER NOT NULL,
  first_delivery INTEGER NOT NULL,
  mark INTEGER NOT NULL,
  PRIMARY KEY (subscription, first_delivery)
) WITHOUT ROWID;
CREATE TABLE former_epochs (
  epoch TEXT PRIMARY KEY,
  head_sequence INTEGER NOT NULL,
  restore_time_us INTEGER NOT NULL
) WITHOUT ROWID;
-- A start at a time: the first event received at or after it, in the order of sequences. The log
-- fills it when it is opened.
CREATE TABLE receive_time_blocks (
  block INTEGER PRIMARY KEY,
  latest_us INTEGER NOT NULL
);
-- Ages that no wall clock decides.
CREATE TABLE age_marks (
  running_us INTEGER PRIMARY KEY,
  last_sequence INTEGER NOT NULL,
  last_touch INTEGER NOT NULL,
  credit_us INTEGER NOT NULL,
  sum INTEGER NOT NULL
    CHECK (sum = running_us + 3 * last_sequence + 5 * last_touch + 7 * credit_us)
);
CREATE TABLE age_clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  running_us INTEGER NOT NULL,
  trusted INTEGER NOT NULL,
  trusted_wall_us INTEGER NOT NULL,
  trusted_running_us INTEGER NOT NULL,
  sum INTEGER NOT NULL
    CHECK (sum = running_us + 3 * trusted + 5 * trusted_wall_us + 7 * trusted_running_us)
);
ALTER TABLE quarantine ADD COLUMN touch INTEGER NOT NULL DEFAULT 0;
UPDATE quarantine SET touch = place FROM (
  SELECT id AS entry, row_number() OVER (ORDER BY last_receive_time_us, id) AS place
  FROM quarantine) WHERE id = entry;
DROP INDEX quarantine_by_time;
CREATE INDEX quarantine_by_touch ON quarantine (touch);
-- The newest webhook ids, so that a start does not read their events.
CREATE TABLE webhook_pieces (
  last_sequence INTEGER PRIMARY KEY,
  entries BLOB NOT NULL
);
-- What GetStatus tells, beyond a restart.
CREATE TABLE status (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  salt BLOB NOT NULL,
  since_us INTEGER NOT NULL,
  last_reload BLOB NOT NULL
);
CREATE TABLE status_counters (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE source_status (
  source TEXT PRIMARY KEY,
  webhooks INTEGER NOT NULL,
  last_webhook_us INTEGER NOT NULL,
  absent_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE secret_status (
  source TEXT NOT NULL,
  name TEXT NOT NULL,
  tag INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  first_configured_us INTEGER NOT NULL,
  last_verified_us INTEGER NOT NULL,
  last_needed_us INTEGER NOT NULL,
  webhooks_then INTEGER NOT NULL,
  absent_us INTEGER NOT NULL,
  PRIMARY KEY (source, name, tag)
) WITHOUT ROWID;
-- By which texts an event may be looked for; who opens the log fills it.
CREATE TABLE text_runs (
  last_sequence INTEGER PRIMARY KEY,
  filter BLOB NOT NULL
);
CREATE TABLE text_pages (
  id INTEGER PRIMARY KEY,
  entries BLOB NOT NULL
);
CREATE TABLE text_pieces (
  last_sequence INTEGER PRIMARY KEY,
  entries BLOB NOT NULL
);
-- How an event came.
ALTER TABLE events ADD COLUMN secrets TEXT NOT NULL DEFAULT '';
CREATE TABLE repeats (
  sequence INTEGER PRIMARY KEY,
  duplicates INTEGER NOT NULL,
  conflicts INTEGER NOT NULL,
  last_receive_time_us INTEGER NOT NULL
);
-- What became of events that were delivered, the latest change last.
CREATE TABLE delivery_history (
  id INTEGER PRIMARY KEY,
  subscription INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  number INTEGER NOT NULL,
  first_delivery_time_us INTEGER NOT NULL,
  last_delivery_time_us INTEGER NOT NULL,
  attempt_count INTEGER NOT NULL,
  attempts BLOB NOT NULL,
  head INTEGER NOT NULL,
  UNIQUE (subscription, sequence)
);
CREATE TABLE subscription_moves (
  subscription INTEGER NOT NULL,
  number INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  from_sequence INTEGER NOT NULL,
  to_sequence INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  settings BLOB NOT NULL,
  PRIMARY KEY (subscription, number)
) WITHOUT ROWID;
-- 5: of what was before, nothing is known.
INSERT INTO subscription_moves
  SELECT id, 1, 5, position, position, 0, settings FROM subscriptions;
ALTER TABLE unsettled_events ADD COLUMN consumer TEXT NOT NULL DEFAULT '';
-- Other bodies that came under an event's webhook-id.
CREATE TABLE conflicts (
  sequence INTEGER PRIMARY KEY,
  source TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  first_receive_time_us INTEGER NOT NULL,
  last_receive_time_us INTEGER NOT NULL,
  receive_count INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  touch INTEGER NOT NULL,
  first_body BLOB NOT NULL,
  last_body BLOB NOT NULL
);
CREATE INDEX conflicts_by_touch ON conflicts (touch, bytes);
-- What operators change about a subscription, besides its settings. 0: it is not paused.
ALTER TABLE subscriptions ADD COLUMN etag INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN pause_time_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE unsettled_events ADD COLUMN void_delivery INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN void_delivery INTEGER NOT NULL DEFAULT 0;
CREATE TABLE bulk_jobs (
  subscription INTEGER NOT NULL,
  id INTEGER NOT NULL,
  job BLOB NOT NULL,
  PRIMARY KEY (subscription, id)
) WITHOUT ROWID;
-- Of a log that is a replica of a cluster's.
CREATE TABLE replica (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  cluster TEXT NOT NULL,
  genesis TEXT NOT NULL,
  applied INTEGER NOT NULL,
  term INTEGER NOT NULL,
  writer INTEGER NOT NULL,
  hash BLOB NOT NULL,
  schema INTEGER NOT NULL DEFAULT 5
);
-- Steps before this one add more than the version before can do without.
CREATE TABLE compatibility (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  oldest_schema INTEGER NOT NULL
);
INSERT INTO compatibility VALUES (1, 5);
-- The trace of the event that may become of it.
ALTER TABLE quarantine ADD COLUMN trace BLOB NOT NULL DEFAULT x'';
CREATE INDEX quarantine_traces ON quarantine (id, trace);
)sql"},
};

}  // namespace

std::vector<SchemaStep>& SchemaSteps() {
  static auto* const steps = new std::vector<SchemaStep>(std::begin(kSteps), std::end(kSteps));
  return *steps;
}

}  // namespace hookgate
