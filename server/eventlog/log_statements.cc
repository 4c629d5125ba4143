#include "server/eventlog/log_statements.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kInsertEvent[] = R"sql(
INSERT INTO events (sequence, source, webhook_id, type, subject, failure, receive_time_us,
                    envelope, raw_body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9))sql";

constexpr char kGetWebhook[] =
    "SELECT source, webhook_id, raw_body FROM events WHERE sequence = ?1";

// The lengths are in the row's header: no body is read for them.
constexpr char kOldestEvents[] =
    "SELECT sequence, receive_time_us, length(envelope) + length(raw_body) FROM events "
    "ORDER BY sequence LIMIT ?1";
constexpr char kDeleteThrough[] = "DELETE FROM events WHERE sequence <= ?1";
constexpr char kSetEarliest[] = "UPDATE log SET earliest_sequence = ?1 WHERE id = 1";

// The first body is kept, as with events; the newest reason is, since the schema may have changed.
constexpr char kUpsertQuarantined[] = R"sql(
INSERT INTO quarantine (source, webhook_id, webhook_time_us, first_receive_time_us,
                        last_receive_time_us, receive_count, reason, detail, raw_body)
VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5, ?6, ?7)
ON CONFLICT (source, webhook_id) DO UPDATE SET
  receive_count = receive_count + 1, last_receive_time_us = ?4, reason = ?5, detail = ?6)sql";

constexpr char kDeleteQuarantined[] = "DELETE FROM quarantine WHERE id = ?1";
constexpr char kTrimQuarantineByAge[] = "DELETE FROM quarantine WHERE last_receive_time_us < ?1";
// Keeps the ?1 that came last.
constexpr char kTrimQuarantineByCount[] = R"sql(
DELETE FROM quarantine WHERE id IN (
  SELECT id FROM quarantine ORDER BY last_receive_time_us DESC, id DESC LIMIT -1 OFFSET ?1))sql";

}  // namespace

absl::StatusOr<std::unique_ptr<LogStatements>> LogStatements::Prepare(Database& database,
                                                                      WebhookIndex& webhooks,
                                                                      const Stretch& stretch) {
  ASSIGN_OR_RETURN(Statement insert_event, database.Prepare(kInsertEvent));
  ASSIGN_OR_RETURN(Statement get_webhook, database.Prepare(kGetWebhook));
  ASSIGN_OR_RETURN(Statement webhook_page, WebhookIndex::PreparePage(database));
  ASSIGN_OR_RETURN(Statement oldest_events, database.Prepare(kOldestEvents));
  ASSIGN_OR_RETURN(Statement delete_through, database.Prepare(kDeleteThrough));
  ASSIGN_OR_RETURN(Statement set_earliest, database.Prepare(kSetEarliest));
  ASSIGN_OR_RETURN(Statement upsert_quarantined, database.Prepare(kUpsertQuarantined));
  ASSIGN_OR_RETURN(Statement delete_quarantined, database.Prepare(kDeleteQuarantined));
  ASSIGN_OR_RETURN(Statement by_age, database.Prepare(kTrimQuarantineByAge));
  ASSIGN_OR_RETURN(Statement by_count, database.Prepare(kTrimQuarantineByCount));
  ASSIGN_OR_RETURN(SubscriptionStatements subscriptions, SubscriptionStatements::Prepare(database));
  return std::make_unique<LogStatements>(
      LogStatements{.database = database,
                    .webhooks = webhooks,
                    .stretch = stretch,
                    .insert_event = std::move(insert_event),
                    .get_webhook = std::move(get_webhook),
                    .webhook_page = std::move(webhook_page),
                    .oldest_events = std::move(oldest_events),
                    .delete_through = std::move(delete_through),
                    .set_earliest = std::move(set_earliest),
                    .upsert_quarantined = std::move(upsert_quarantined),
                    .delete_quarantined = std::move(delete_quarantined),
                    .trim_quarantine_by_age = std::move(by_age),
                    .trim_quarantine_by_count = std::move(by_count),
                    .subscriptions = std::move(subscriptions)});
}

// Once a process: nothing is prepared for it. The stretch in which the position before the earliest
// event lies stays: a cursor may be there.
absl::Status LogStatements::BeginStretch() {
  RETURN_IF_ERROR(database.Execute(
      "DELETE FROM stretches WHERE first_sequence < (SELECT max(first_sequence) FROM stretches "
      "WHERE first_sequence < (SELECT earliest_sequence FROM log WHERE id = 1))"));
  return database.Execute(absl::StrCat("INSERT INTO stretches (first_sequence, mark) VALUES (",
                                       stretch.first, ", ", stretch.mark, ")"));
}

}  // namespace hookgate
