#include "server/eventlog/history_reader.h"

#include <limits>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "server/eventlog/history_rows.h"
#include "server/eventlog/subscription_reader.h"

namespace hookgate {
namespace {

constexpr char kPosition[] = "SELECT position FROM subscriptions WHERE id = ?1";
constexpr char kUnsettledColumns[] =
    "SELECT " HOOKGATE_UNSETTLED_COLUMNS ", nack_reason FROM unsettled_events ";
constexpr char kDeadColumns[] = "SELECT " HOOKGATE_DEAD_COLUMNS ", nack_reason FROM dead_letters ";
constexpr char kHistoryColumns[] = "SELECT " HOOKGATE_HISTORY_COLUMNS " FROM delivery_history ";
constexpr char kOne[] = "WHERE subscription = ?1 AND sequence = ?2";
constexpr char kAscending[] =
    "WHERE subscription = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
constexpr char kDescending[] =
    "WHERE subscription = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3";
constexpr char kMoves[] =
    "SELECT kind, from_sequence, to_sequence, time_us, settings FROM subscription_moves "
    "WHERE subscription = ?1 ORDER BY number";
constexpr char kCount[] = "SELECT count(*) FROM delivery_history";
constexpr char kNextSubscription[] =
    "SELECT subscription, EXISTS (SELECT 1 FROM subscriptions WHERE id = subscription) "
    "FROM delivery_history WHERE subscription > ?1 ORDER BY subscription LIMIT 1";

absl::StatusOr<UnsettledEvent> ReadUnsettledWithReason(const Statement& row) {
  UnsettledEvent event = ReadUnsettled(row);
  event.nack_reason = std::string(row.ColumnText(kUnsettledReasonColumn));
  return event;
}

absl::StatusOr<DeadEvent> ReadDeadWithReason(const Statement& row) {
  DeadEvent dead = ReadDead(row);
  dead.nack_reason = std::string(row.ColumnText(kDeadReasonColumn));
  return dead;
}

SubscriptionMove ReadMove(const Statement& row) {
  return {.kind = static_cast<SubscriptionMove::Kind>(row.ColumnInt(0)),
          .from = row.ColumnInt(1),
          .to = row.ColumnInt(2),
          .time = absl::FromUnixMicros(row.ColumnInt(3)),
          .settings = std::string(row.ColumnBlob(4))};
}

// What one event needs, prepared once.
struct OneEvent {
  static absl::StatusOr<OneEvent> Prepare(Database& database) {
    ASSIGN_OR_RETURN(Statement unsettled, database.Prepare(absl::StrCat(kUnsettledColumns, kOne)));
    ASSIGN_OR_RETURN(Statement dead, database.Prepare(absl::StrCat(kDeadColumns, kOne)));
    ASSIGN_OR_RETURN(Statement history, database.Prepare(absl::StrCat(kHistoryColumns, kOne)));
    return OneEvent{std::move(unsettled), std::move(dead), std::move(history)};
  }

  absl::StatusOr<StoredDelivery> Read(int64_t id, Sequence sequence) {
    StoredDelivery delivery = {.sequence = sequence};
    RETURN_IF_ERROR(ReadOne(unsettled, id, sequence, ReadUnsettledWithReason, delivery.unsettled));
    RETURN_IF_ERROR(ReadOne(dead, id, sequence, ReadDeadWithReason, delivery.dead));
    RETURN_IF_ERROR(ReadOne(history, id, sequence, ReadHistory, delivery.history));
    return delivery;
  }

  template <typename Row, typename ReadRow>
  static absl::Status ReadOne(Statement& statement, int64_t id, Sequence sequence, ReadRow read_row,
                              absl::optional<Row>& out) {
    StatementScope scope(statement);
    statement.BindInt(1, id);
    statement.BindInt(2, sequence);
    ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) return absl::OkStatus();
    ASSIGN_OR_RETURN(out, read_row(statement));
    return absl::OkStatus();
  }

  Statement unsettled, dead, history;
};

absl::StatusOr<std::vector<SubscriptionMove>> ReadMoves(Statement& rows, int64_t id) {
  StatementScope scope(rows);
  rows.BindInt(1, id);
  std::vector<SubscriptionMove> moves;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return moves;
    moves.push_back(ReadMove(rows));
  }
}

// Whether only the moves can tell what became of it.
bool NeedsMoves(const StoredExplanation& stored) {
  const StoredDelivery& delivery = stored.delivery;
  return !delivery.unsettled.has_value() && !delivery.dead.has_value() &&
         (!delivery.history.has_value() || delivery.history->outcome == DeliveryOutcome::kOpen);
}

}  // namespace

absl::StatusOr<std::vector<StoredExplanation>> HistoryReader::Explain(
    Sequence sequence, const std::vector<int64_t>& ids) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database_, Transaction::Kind::kRead));
  ASSIGN_OR_RETURN(Statement position, database_.Prepare(kPosition));
  ASSIGN_OR_RETURN(Statement moves, database_.Prepare(kMoves));
  ASSIGN_OR_RETURN(OneEvent event, OneEvent::Prepare(database_));
  std::vector<StoredExplanation> all;
  all.reserve(ids.size());
  for (const int64_t id : ids) {
    StoredExplanation& stored = all.emplace_back();
    {
      StatementScope scope(position);
      position.BindInt(1, id);
      ASSIGN_OR_RETURN(const bool found, position.Step());
      if (!found) continue;
      stored.position = position.ColumnInt(0);
    }
    ASSIGN_OR_RETURN(stored.delivery, event.Read(id, sequence));
    if (!NeedsMoves(stored)) continue;
    ASSIGN_OR_RETURN(stored.moves, ReadMoves(moves, id));
  }
  return all;
}

absl::StatusOr<DeliveryScanPage> HistoryReader::Scan(int64_t id, const DeliveryScan& scan) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database_, Transaction::Kind::kRead));
  const int64_t after =
      scan.after.value_or(scan.newest_first ? std::numeric_limits<Sequence>::max() : 0);
  std::map<Sequence, StoredDelivery> found;
  bool cut = false;
  const auto add = [&](absl::string_view columns, auto read_row, auto member) -> absl::Status {
    ASSIGN_OR_RETURN(Statement rows, database_.Prepare(absl::StrCat(
                                         columns, scan.newest_first ? kDescending : kAscending)));
    rows.BindInt(1, id);
    rows.BindInt(2, after);
    rows.BindInt(3, static_cast<int64_t>(scan.max_events) + 1);
    size_t count = 0;
    while (true) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      ASSIGN_OR_RETURN(auto value, read_row(rows));
      StoredDelivery& delivery = found[value.sequence];
      delivery.sequence = value.sequence;
      delivery.*member = std::move(value);
      ++count;
    }
    cut = cut || count > scan.max_events;
    return absl::OkStatus();
  };
  if (scan.unsettled) {
    RETURN_IF_ERROR(add(kUnsettledColumns, ReadUnsettledWithReason, &StoredDelivery::unsettled));
  }
  if (scan.dead) RETURN_IF_ERROR(add(kDeadColumns, ReadDeadWithReason, &StoredDelivery::dead));
  if (scan.history) RETURN_IF_ERROR(add(kHistoryColumns, ReadHistory, &StoredDelivery::history));

  DeliveryScanPage page;
  const auto take = [&](const auto& entry) {
    page.deliveries.push_back(entry.second);
    return page.deliveries.size() < scan.max_events;
  };
  if (scan.newest_first) {
    for (auto at = found.rbegin(); at != found.rend() && take(*at); ++at) {
    }
  } else {
    for (auto at = found.begin(); at != found.end() && take(*at); ++at) {
    }
  }
  if (cut || found.size() > page.deliveries.size()) page.next = page.deliveries.back().sequence;
  if (scan.unsettled && scan.dead && scan.history) return page;
  // What was not scanned of those that were found.
  ASSIGN_OR_RETURN(OneEvent event, OneEvent::Prepare(database_));
  for (StoredDelivery& delivery : page.deliveries) {
    ASSIGN_OR_RETURN(delivery, event.Read(id, delivery.sequence));
  }
  return page;
}

absl::StatusOr<int64_t> HistoryReader::Count() {
  ASSIGN_OR_RETURN(Statement count, database_.Prepare(kCount));
  RETURN_IF_ERROR(count.Step().status());
  return count.ColumnInt(0);
}

absl::StatusOr<int64_t> HistoryReader::FindForgotten() {
  ASSIGN_OR_RETURN(Statement next, database_.Prepare(kNextSubscription));
  int64_t id = 0;
  while (true) {
    StatementScope scope(next);
    next.BindInt(1, id);
    ASSIGN_OR_RETURN(const bool row, next.Step());
    if (!row) return 0;
    id = next.ColumnInt(0);
    if (next.ColumnInt(1) == 0) return id;
  }
}

}  // namespace hookgate
