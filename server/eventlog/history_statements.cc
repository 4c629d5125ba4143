#include "server/eventlog/history_statements.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "server/eventlog/delivery_history.h"
#include "server/eventlog/history_rows.h"
#include "server/eventlog/rows_at_once.h"

namespace hookgate {
namespace {

constexpr char kInto[] = R"sql(
INSERT INTO delivery_history (
  subscription, sequence, outcome, time_us, consumer, number, first_delivery_time_us,
  last_delivery_time_us, attempt_count, attempts, head)
VALUES )sql";
constexpr int kParameters = 11;
constexpr char kInsert[] = R"sql((?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (subscription, sequence) DO NOTHING)sql";
constexpr char kGet[] = "SELECT " HOOKGATE_HISTORY_COLUMNS
                        ", id FROM delivery_history WHERE subscription = ?1 AND sequence = ?2";
constexpr int kIdColumn = 9;
constexpr char kRemove[] = "DELETE FROM delivery_history WHERE id = ?1";

constexpr char kOldest[] = "SELECT id, head FROM delivery_history ORDER BY id LIMIT ?1";
constexpr char kRemoveThrough[] = "DELETE FROM delivery_history WHERE id <= ?1";
constexpr char kRemoveSome[] =
    "DELETE FROM delivery_history WHERE id IN "
    "(SELECT id FROM delivery_history WHERE subscription = ?1 LIMIT ?2)";

constexpr char kInsertMove[] = R"sql(
INSERT INTO subscription_moves (subscription, number, kind, from_sequence, to_sequence, time_us,
                                settings)
VALUES (?1,
        coalesce((SELECT max(number) FROM subscription_moves WHERE subscription = ?1), 0) + 1,
        ?2, ?3, ?4, ?5, ?6))sql";
// Retention overtakes one that nobody consumes again and again: that is one move.
constexpr char kExtendMove[] = R"sql(
UPDATE subscription_moves SET to_sequence = ?4, time_us = ?5
WHERE subscription = ?1 AND kind = ?2 AND to_sequence = ?3 AND
  number = (SELECT max(number) FROM subscription_moves WHERE subscription = ?1))sql";
// The newest is the first in its own window, so it always stays.
constexpr char kRemoveMovesBeyond[] = R"sql(
DELETE FROM subscription_moves WHERE subscription = ?1 AND number IN (
  SELECT number FROM (
    SELECT number, row_number() OVER newer AS place, sum(length(settings)) OVER newer AS bytes
    FROM subscription_moves WHERE subscription = ?1 WINDOW newer AS (ORDER BY number DESC))
  WHERE place > ?2 OR (bytes > ?3 AND place > 1)))sql";
constexpr char kRemoveMoves[] = "DELETE FROM subscription_moves WHERE subscription = ?1";

int64_t Micros(absl::Time time) { return absl::ToUnixMicros(time); }

// What most events have: one attempt, which was acked.
bool IsAcked(const HistoryEntry& entry) {
  return entry.outcome == DeliveryOutcome::kAcked && !entry.late_ack.has_value() &&
         entry.attempt.has_value() && entry.attempt->how == DeliveryEnd::kAcked;
}

}  // namespace

absl::StatusOr<HistoryStatements> HistoryStatements::Prepare(Database& database) {
  ASSIGN_OR_RETURN(Statement insert, database.Prepare(absl::StrCat(kInto, kInsert)));
  ASSIGN_OR_RETURN(Statement insert_rows,
                   database.Prepare(absl::StrCat(kInto, ValuesOfRowsAtOnce(kParameters))));
  ASSIGN_OR_RETURN(Statement get, database.Prepare(kGet));
  ASSIGN_OR_RETURN(Statement remove, database.Prepare(kRemove));
  ASSIGN_OR_RETURN(Statement oldest, database.Prepare(kOldest));
  ASSIGN_OR_RETURN(Statement remove_through, database.Prepare(kRemoveThrough));
  ASSIGN_OR_RETURN(Statement remove_some, database.Prepare(kRemoveSome));
  ASSIGN_OR_RETURN(Statement insert_move, database.Prepare(kInsertMove));
  ASSIGN_OR_RETURN(Statement extend_move, database.Prepare(kExtendMove));
  ASSIGN_OR_RETURN(Statement remove_moves_beyond, database.Prepare(kRemoveMovesBeyond));
  ASSIGN_OR_RETURN(Statement remove_moves, database.Prepare(kRemoveMoves));
  return HistoryStatements(
      database, Prepared{std::move(insert), std::move(insert_rows), std::move(get),
                         std::move(remove), std::move(oldest), std::move(remove_through),
                         std::move(remove_some), std::move(insert_move), std::move(extend_move),
                         std::move(remove_moves_beyond), std::move(remove_moves)});
}

// Behind the parameters of the rows before.
void HistoryStatements::Bind(const Row& row, int before, Statement& insert) {
  insert.BindInt(before + 1, row.subscription);
  insert.BindInt(before + 2, row.sequence);
  insert.BindInt(before + 3, static_cast<int64_t>(row.outcome));
  insert.BindInt(before + 4, Micros(row.time));
  insert.BindText(before + 5, row.consumer);
  insert.BindInt(before + 6, row.number);
  insert.BindInt(before + 7, Micros(row.first_delivery_time));
  insert.BindInt(before + 8, Micros(row.last_delivery_time));
  insert.BindInt(before + 9, row.count);
  insert.BindBlob(before + 10, row.attempts);
  insert.BindInt(before + 11, row.head);
}

absl::StatusOr<bool> HistoryStatements::Insert(const Row& row) {
  Bind(row, /*before=*/0, statements_.insert);
  RETURN_IF_ERROR(statements_.insert.Run());
  return database_->changes() > 0;
}

absl::StatusOr<bool> HistoryStatements::Insert(int64_t subscription, const DeliveryHistory& history,
                                               Sequence head) {
  const std::string attempts = SaysAll(history) ? "" : EncodeAttempts(history.attempts);
  return Insert({.subscription = subscription,
                 .sequence = history.sequence,
                 .outcome = history.outcome,
                 .time = history.time,
                 .consumer = history.consumer,
                 .number = history.number,
                 .first_delivery_time = history.first_delivery_time,
                 .last_delivery_time = history.last_delivery_time,
                 .count = history.count,
                 .attempts = attempts,
                 .head = head});
}

// As AddEntry would make it, without the detour.
HistoryStatements::Row HistoryStatements::RowOfAcked(int64_t subscription,
                                                     const HistoryEntry& entry, Sequence head) {
  const DeliveryAttempt& attempt = *entry.attempt;
  return {.subscription = subscription,
          .sequence = entry.sequence,
          .outcome = DeliveryOutcome::kAcked,
          .time = entry.time,
          .consumer = attempt.consumer,
          .number = attempt.number,
          .first_delivery_time = attempt.begin,
          .last_delivery_time = attempt.begin,
          .count = 1,
          .attempts = "",
          .head = head};
}

absl::StatusOr<bool> HistoryStatements::InsertRowsOfAcked(int64_t subscription,
                                                          absl::Span<const HistoryEntry> entries,
                                                          Sequence head) {
  int before = 0;
  for (const HistoryEntry& entry : entries) {
    Bind(RowOfAcked(subscription, entry, head), before, statements_.insert_rows);
    before += kParameters;
  }
  const absl::Status status = statements_.insert_rows.Run();
  if (absl::IsAlreadyExists(status)) return false;  // SQLite has taken back what it had done.
  RETURN_IF_ERROR(status);
  return true;
}

absl::Status HistoryStatements::Put(int64_t subscription, absl::Span<const HistoryEntry> entries,
                                    Sequence head) {
  bool are_new = true;  // Where one has a history, such as after a seek back, more do.
  while (!entries.empty()) {
    const auto group = entries.subspan(0, kRowsAtOnce);
    bool inserted = false;
    if (are_new && group.size() == kRowsAtOnce &&
        std::all_of(group.begin(), group.end(), IsAcked)) {
      ASSIGN_OR_RETURN(inserted, InsertRowsOfAcked(subscription, group, head));
      are_new = inserted;
    }
    for (size_t i = 0; !inserted && i < group.size(); ++i) {
      RETURN_IF_ERROR(PutOne(subscription, group[i], head));
    }
    entries.remove_prefix(group.size());
  }
  return absl::OkStatus();
}

absl::Status HistoryStatements::PutOne(int64_t subscription, const HistoryEntry& entry,
                                       Sequence head) {
  DeliveryHistory history;
  bool inserted = false;
  if (IsAcked(entry)) {
    ASSIGN_OR_RETURN(inserted, Insert(RowOfAcked(subscription, entry, head)));
  } else {
    history.sequence = entry.sequence;
    AddEntry(entry, history);
    ASSIGN_OR_RETURN(inserted, Insert(subscription, history, head));
  }
  if (inserted) return absl::OkStatus();
  int64_t id = 0;
  {
    Statement& get = statements_.get;
    StatementScope scope(get);
    get.BindInt(1, subscription);
    get.BindInt(2, entry.sequence);
    RETURN_IF_ERROR(get.Step().status());
    ASSIGN_OR_RETURN(history, ReadHistory(get));
    id = get.ColumnInt(kIdColumn);
  }
  AddEntry(entry, history);
  // With a new id: rows are in the order in which they changed.
  statements_.remove.BindInt(1, id);
  RETURN_IF_ERROR(statements_.remove.Run());
  return Insert(subscription, history, head).status();
}

absl::Status HistoryStatements::AddMove(int64_t subscription, const SubscriptionMove& move) {
  if (move.kind == SubscriptionMove::Kind::kLost) {
    Statement& extend = statements_.extend_move;
    extend.BindInt(1, subscription);
    extend.BindInt(2, static_cast<int64_t>(move.kind));
    extend.BindInt(3, move.from);
    extend.BindInt(4, move.to);
    extend.BindInt(5, Micros(move.time));
    RETURN_IF_ERROR(extend.Run());
    if (database_->changes() > 0) return absl::OkStatus();
  }
  Statement& insert = statements_.insert_move;
  insert.BindInt(1, subscription);
  insert.BindInt(2, static_cast<int64_t>(move.kind));
  insert.BindInt(3, move.from);
  insert.BindInt(4, move.to);
  insert.BindInt(5, Micros(move.time));
  insert.BindBlob(6, move.settings);
  RETURN_IF_ERROR(insert.Run());
  Statement& remove = statements_.remove_moves_beyond;
  remove.BindInt(1, subscription);
  remove.BindInt(2, SubscriptionMove::kMaxKept);
  remove.BindInt(3, SubscriptionMove::kMaxSettingsBytes);
  return remove.Run();
}

absl::Status HistoryStatements::DeleteMoves(int64_t subscription) {
  statements_.remove_moves.BindInt(1, subscription);
  return statements_.remove_moves.Run();
}

absl::StatusOr<int64_t> HistoryStatements::Trim(int64_t excess, Sequence head, int64_t max_rows) {
  int64_t last = 0;
  {
    Statement& oldest = statements_.oldest;
    StatementScope scope(oldest);
    oldest.BindInt(1, max_rows);
    for (int64_t rows = 0;; ++rows) {
      ASSIGN_OR_RETURN(const bool row, oldest.Step());
      if (!row || (rows >= excess && oldest.ColumnInt(1) >= head)) break;
      last = oldest.ColumnInt(0);
    }
  }
  if (last == 0) return 0;
  statements_.remove_through.BindInt(1, last);
  RETURN_IF_ERROR(statements_.remove_through.Run());
  return database_->changes();
}

absl::StatusOr<int64_t> HistoryStatements::Forget(int64_t subscription, int64_t max_rows) {
  statements_.remove_some.BindInt(1, subscription);
  statements_.remove_some.BindInt(2, max_rows);
  RETURN_IF_ERROR(statements_.remove_some.Run());
  return database_->changes();
}

}  // namespace hookgate
