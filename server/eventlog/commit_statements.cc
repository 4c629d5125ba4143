#include "server/eventlog/commit_statements.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/eventlog/replicated_tables.h"
#include "server/store/schema.h"

namespace hookgate {
namespace {

constexpr char kGetWebhook[] =
    "SELECT source, webhook_id, raw_body, envelope FROM events WHERE sequence = ?1";

// The lengths are in the row's header: no body is read for them.
constexpr char kOldestEvents[] =
    "SELECT sequence, length(envelope) + length(raw_body) FROM events ORDER BY sequence LIMIT ?1";
constexpr char kDeleteThrough[] = "DELETE FROM events WHERE sequence <= ?1";
constexpr char kDeleteRepeatsThrough[] = "DELETE FROM repeats WHERE sequence <= ?1";
constexpr char kSetEarliest[] = "UPDATE log SET earliest_sequence = ?1 WHERE id = 1";

// Whether there is an entry under ?2, and of this body (-1: there is none); and whether there is
// one under ?4.
constexpr char kFindQuarantined[] = R"sql(
SELECT coalesce((SELECT raw_body = ?3 FROM quarantine WHERE source = ?1 AND webhook_id = ?2), -1),
       EXISTS (SELECT 1 FROM quarantine WHERE source = ?1 AND webhook_id = ?4))sql";
// The first trace is kept, as with events; the newest reason is, since the schema may have changed.
constexpr char kUpsertQuarantined[] = R"sql(
INSERT INTO quarantine (source, webhook_id, webhook_time_us, first_receive_time_us,
                        last_receive_time_us, receive_count, reason, detail, raw_body, touch, trace)
VALUES (?1, ?2, ?3, ?4, ?4, 1, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (source, webhook_id) DO UPDATE SET
  receive_count = receive_count + 1, last_receive_time_us = ?4, reason = ?5, detail = ?6,
  touch = ?8)sql";

constexpr char kDeleteQuarantined[] = "DELETE FROM quarantine WHERE id = ?1";
constexpr char kOldestQuarantined[] =
    "SELECT id, length(raw_body) FROM quarantine WHERE touch BETWEEN 1 AND ?1 ORDER BY touch LIMIT "
    "?2";

// The body that comes first stays as it is.
constexpr char kUpsertConflict[] = R"sql(
INSERT INTO conflicts (sequence, source, webhook_id, first_receive_time_us, last_receive_time_us,
                       receive_count, bytes, touch, first_body, last_body)
VALUES (?1, ?2, ?3, ?4, ?4, 1, length(?5), ?6, ?5, x'')
ON CONFLICT (sequence) DO UPDATE SET
  last_receive_time_us = ?4, receive_count = receive_count + 1, touch = ?6,
  bytes = length(first_body) + CASE WHEN first_body = ?5 THEN 0 ELSE length(?5) END,
  last_body = CASE WHEN first_body = ?5 THEN x'' ELSE ?5 END)sql";
constexpr char kDeleteConflict[] = "DELETE FROM conflicts WHERE sequence = ?1";
constexpr char kOldestConflicts[] =
    "SELECT sequence, bytes FROM conflicts WHERE touch BETWEEN 1 AND ?1 ORDER BY touch LIMIT ?2";

constexpr char kInsertAgeMark[] = R"sql(
INSERT INTO age_marks (running_us, last_sequence, last_touch, credit_us, sum)
VALUES (?1, ?2, ?3, ?4, ?1 + 3 * ?2 + 5 * ?3 + 7 * ?4)
ON CONFLICT (running_us) DO UPDATE
SET last_sequence = ?2, last_touch = ?3, credit_us = ?4, sum = excluded.sum)sql";
constexpr char kDeleteAgeMarks[] = "DELETE FROM age_marks WHERE running_us < ?1";
constexpr char kSetAgeClock[] = R"sql(
INSERT INTO age_clock (id, running_us, trusted, trusted_wall_us, trusted_running_us, sum)
VALUES (1, ?1, ?2, ?3, ?4, ?1 + 3 * ?2 + 5 * ?3 + 7 * ?4)
ON CONFLICT (id) DO UPDATE SET running_us = ?1, trusted = ?2, trusted_wall_us = ?3,
  trusted_running_us = ?4, sum = excluded.sum)sql";

constexpr char kSetTail[] =
    "UPDATE replica SET applied = ?1, term = ?2, writer = ?3, hash = ?4 WHERE id = 1";
constexpr char kSetAgreedSchema[] = "UPDATE replica SET schema = ?1 WHERE id = 1";

}  // namespace

absl::StatusOr<std::unique_ptr<CommitStatements>> CommitStatements::Prepare(
    Database& database, WebhookIndex& webhooks, TextIndex& texts, RepeatCounts& repeats,
    ReceiveTimes& receive_times, const Stretch& stretch, int agreed_schema) {
  ASSIGN_OR_RETURN(EventInserts new_events, EventInserts::Prepare(database));
  ASSIGN_OR_RETURN(Statement get_webhook, database.Prepare(kGetWebhook));
  ASSIGN_OR_RETURN(Statement webhook_page, WebhookIndex::PreparePage(database));
  ASSIGN_OR_RETURN(Statement oldest_events, database.Prepare(kOldestEvents));
  ASSIGN_OR_RETURN(Statement delete_through, database.Prepare(kDeleteThrough));
  ASSIGN_OR_RETURN(Statement delete_repeats_through, database.Prepare(kDeleteRepeatsThrough));
  ASSIGN_OR_RETURN(Statement upsert_repeats, RepeatCounts::PrepareUpsert(database));
  ASSIGN_OR_RETURN(Statement set_earliest, database.Prepare(kSetEarliest));
  ASSIGN_OR_RETURN(Statement find_quarantined, database.Prepare(kFindQuarantined));
  ASSIGN_OR_RETURN(Statement upsert_quarantined, database.Prepare(kUpsertQuarantined));
  ASSIGN_OR_RETURN(Statement delete_quarantined, database.Prepare(kDeleteQuarantined));
  ASSIGN_OR_RETURN(Statement oldest_quarantined, database.Prepare(kOldestQuarantined));
  ASSIGN_OR_RETURN(Statement upsert_conflict, database.Prepare(kUpsertConflict));
  ASSIGN_OR_RETURN(Statement delete_conflict, database.Prepare(kDeleteConflict));
  ASSIGN_OR_RETURN(Statement oldest_conflicts, database.Prepare(kOldestConflicts));
  ASSIGN_OR_RETURN(Statement insert_age_mark, database.Prepare(kInsertAgeMark));
  ASSIGN_OR_RETURN(Statement delete_age_marks, database.Prepare(kDeleteAgeMarks));
  ASSIGN_OR_RETURN(Statement set_age_clock, database.Prepare(kSetAgeClock));
  ASSIGN_OR_RETURN(SubscriptionStatements subscriptions, SubscriptionStatements::Prepare(database));
  ASSIGN_OR_RETURN(HistoryStatements history, HistoryStatements::Prepare(database));
  ASSIGN_OR_RETURN(StatusStatements status, StatusStatements::Prepare(database));
  std::unique_ptr<RowEffects> effects;
  absl::optional<Statement> set_tail;
  absl::optional<Statement> set_agreed_schema;
  if (agreed_schema != 0) {
    ASSIGN_OR_RETURN(effects, RowEffects::Open(database, ReplicatedTables()));
    ASSIGN_OR_RETURN(absl::optional<RowEffects::Shape> shape, ShapeOf(agreed_schema));
    effects->LimitTo(std::move(shape));
    ASSIGN_OR_RETURN(set_tail, database.Prepare(kSetTail));
    ASSIGN_OR_RETURN(set_agreed_schema, database.Prepare(kSetAgreedSchema));
  }
  return std::make_unique<CommitStatements>(
      CommitStatements{.database = database,
                       .webhooks = webhooks,
                       .texts = texts,
                       .repeats = repeats,
                       .receive_times = receive_times,
                       .stretch = stretch,
                       .new_events = std::move(new_events),
                       .get_webhook = std::move(get_webhook),
                       .webhook_page = std::move(webhook_page),
                       .oldest_events = std::move(oldest_events),
                       .delete_through = std::move(delete_through),
                       .delete_repeats_through = std::move(delete_repeats_through),
                       .upsert_repeats = std::move(upsert_repeats),
                       .set_earliest = std::move(set_earliest),
                       .find_quarantined = std::move(find_quarantined),
                       .upsert_quarantined = std::move(upsert_quarantined),
                       .delete_quarantined = std::move(delete_quarantined),
                       .oldest_quarantined = std::move(oldest_quarantined),
                       .upsert_conflict = std::move(upsert_conflict),
                       .delete_conflict = std::move(delete_conflict),
                       .oldest_conflicts = std::move(oldest_conflicts),
                       .insert_age_mark = std::move(insert_age_mark),
                       .delete_age_marks = std::move(delete_age_marks),
                       .set_age_clock = std::move(set_age_clock),
                       .subscriptions = std::move(subscriptions),
                       .history = std::move(history),
                       .status = std::move(status),
                       .effects = std::move(effects),
                       .set_tail = std::move(set_tail),
                       .set_agreed_schema = std::move(set_agreed_schema)});
}

// Once a process: nothing is prepared for it. The stretch in which the position before the earliest
// event lies stays: a cursor may be there.
absl::Status CommitStatements::BeginStretch() {
  RETURN_IF_ERROR(database.Execute(
      "DELETE FROM stretches WHERE first_sequence < (SELECT max(first_sequence) FROM stretches "
      "WHERE first_sequence < (SELECT earliest_sequence FROM log WHERE id = 1))"));
  return database.Execute(absl::StrCat("INSERT INTO stretches (first_sequence, mark) VALUES (",
                                       stretch.first, ", ", stretch.mark, ")"));
}

absl::Status CommitStatements::WriteTail(const RecordTail& tail) {
  set_tail->BindInt(1, tail.index);
  set_tail->BindInt(2, tail.term);
  set_tail->BindInt(3, static_cast<int64_t>(tail.writer));
  set_tail->BindBlob(4, {tail.hash.data(), tail.hash.size()});
  return set_tail->Run();
}

absl::Status CommitStatements::WriteAgreedSchema(int version) {
  set_agreed_schema->BindInt(1, version);
  RETURN_IF_ERROR(set_agreed_schema->Run());
  return NoteAgreedSchema(database, version);
}

absl::StatusOr<absl::optional<RowEffects::Shape>> CommitStatements::ShapeOf(int version) {
  if (version >= SchemaVersion()) return absl::optional<RowEffects::Shape>();
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> pattern,
                   Database::Open(":memory:", Database::Mode::kCreate));
  RETURN_IF_ERROR(MakeSchema(*pattern, version));
  ASSIGN_OR_RETURN(RowEffects::Shape shape, RowEffects::ReadShape(*pattern, ReplicatedTables()));
  return absl::optional<RowEffects::Shape>(std::move(shape));
}

}  // namespace hookgate
