// The writer's statements, prepared once.
#ifndef HOOKGATE_SERVER_EVENTLOG_COMMIT_STATEMENTS_H_
#define HOOKGATE_SERVER_EVENTLOG_COMMIT_STATEMENTS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_inserts.h"
#include "server/eventlog/event_log_history.h"
#include "server/eventlog/history_statements.h"
#include "server/eventlog/receive_times.h"
#include "server/eventlog/repeat_counts.h"
#include "server/eventlog/status_statements.h"
#include "server/eventlog/subscription_statements.h"
#include "server/eventlog/text_index.h"
#include "server/eventlog/webhook_index.h"
#include "server/replication/record_tail.h"
#include "server/replication/row_effects.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the writer thread alone.
struct CommitStatements {
  // What is given outlives the statements.
  //   agreed_schema  of a replica: what the cluster has agreed on; otherwise 0
  static absl::StatusOr<std::unique_ptr<CommitStatements>> Prepare(
      Database& database, WebhookIndex& webhooks, TextIndex& texts, RepeatCounts& repeats,
      ReceiveTimes& receive_times, const Stretch& stretch, int agreed_schema = 0);

  // For the transaction that appends the first event of `stretch`. Stretches that retention is past
  // make room.
  absl::Status BeginStretch();

  // Of a replica: for the transaction that applies everything up to `tail`.
  absl::Status WriteTail(const RecordTail& tail);

  // Of a replica: for the transaction with which the cluster agrees on `version`.
  absl::Status WriteAgreedSchema(int version);
  // What a replica of that version can apply; nullopt: all that this one can.
  static absl::StatusOr<absl::optional<RowEffects::Shape>> ShapeOf(int version);

  Database& database;
  WebhookIndex& webhooks;
  TextIndex& texts;
  RepeatCounts& repeats;
  ReceiveTimes& receive_times;
  Stretch stretch;  // what the writer appends; of a replica, since it leads

  EventInserts new_events;
  Statement get_webhook;
  Statement webhook_page;
  Statement oldest_events;
  Statement delete_through;
  Statement delete_repeats_through;
  Statement upsert_repeats;
  Statement set_earliest;

  Statement find_quarantined;
  Statement upsert_quarantined;
  Statement delete_quarantined;
  Statement oldest_quarantined;

  Statement upsert_conflict;
  Statement delete_conflict;
  Statement oldest_conflicts;

  Statement insert_age_mark;
  Statement delete_age_marks;
  Statement set_age_clock;

  SubscriptionStatements subscriptions;
  HistoryStatements history;
  StatusStatements status;

  // Of a replica; otherwise null.
  std::unique_ptr<RowEffects> effects;
  absl::optional<Statement> set_tail;
  absl::optional<Statement> set_agreed_schema;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_COMMIT_STATEMENTS_H_
