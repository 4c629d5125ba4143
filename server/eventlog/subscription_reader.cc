#include "server/eventlog/subscription_reader.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/eventlog/subscription_log.h"

namespace hookgate {
namespace {

constexpr char kSubscriptions[] =
    "SELECT id, name, settings, create_time_us, position, last_delivery, void_delivery, lost, "
    "lost_unread, passed, admitted, etag, pause_time_us "
    "FROM subscriptions WHERE id BETWEEN ?1 AND ?2 ORDER BY name";
// Without the reasons: there may be a million rows, and the rest of one is small.
constexpr char kUnsettled[] = "SELECT " HOOKGATE_UNSETTLED_COLUMNS
                              " FROM unsettled_events WHERE subscription = ?1 ORDER BY sequence";
constexpr char kDead[] =
    "SELECT " HOOKGATE_DEAD_COLUMNS " FROM dead_letters WHERE subscription = ?1 ORDER BY sequence";
constexpr char kDeadPage[] = "SELECT " HOOKGATE_DEAD_COLUMNS
                             ", nack_reason FROM dead_letters WHERE subscription = ?1 "
                             "AND sequence > ?2 ORDER BY sequence LIMIT ?3";
// One that was redriven this moment is a dead letter still.
constexpr char kNackReason[] = R"sql(
SELECT coalesce(
  (SELECT nack_reason FROM unsettled_events WHERE subscription = ?1 AND sequence = ?2),
  (SELECT nack_reason FROM dead_letters WHERE subscription = ?1 AND sequence = ?2), ''))sql";

constexpr char kJobs[] = "SELECT id, job FROM bulk_jobs WHERE subscription = ?1 ORDER BY id";

constexpr char kStretches[] =
    "SELECT first_delivery, mark FROM delivery_stretches WHERE subscription = ?1 "
    "ORDER BY first_delivery";

absl::Time TimeAt(const Statement& row, int column) {
  return absl::FromUnixMicros(row.ColumnInt(column));
}

StoredSubscription ReadSubscription(const Statement& row) {
  StoredSubscription subscription;
  subscription.id = row.ColumnInt(0);
  subscription.name = std::string(row.ColumnText(1));
  subscription.settings = std::string(row.ColumnBlob(2));
  subscription.create_time = TimeAt(row, 3);
  subscription.position = {.position = row.ColumnInt(4),
                           .last_delivery = row.ColumnInt(5),
                           .void_delivery = row.ColumnInt(6),
                           .lost = row.ColumnInt(7),
                           .lost_unread = row.ColumnInt(8),
                           .passed = row.ColumnInt(9),
                           .admitted = row.ColumnInt(10)};
  subscription.control.etag = row.ColumnInt(11);
  if (row.ColumnInt(12) != 0) subscription.control.pause_time = TimeAt(row, 12);
  return subscription;
}

DeadEvent ReadDeadWithReason(const Statement& row) {
  DeadEvent dead = ReadDead(row);
  dead.nack_reason = std::string(row.ColumnText(kDeadReasonColumn));
  return dead;
}

StoredJob ReadJob(const Statement& row) {
  return {.id = row.ColumnInt(0), .job = std::string(row.ColumnBlob(1))};
}

Stretch ReadStretch(const Statement& row) {
  return {.first = row.ColumnInt(0), .mark = static_cast<HistoryMark>(row.ColumnInt(1))};
}

template <typename Row, typename ReadRow>
absl::Status ReadRows(Statement& rows, ReadRow read_row, std::vector<Row>& out) {
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    out.push_back(read_row(rows));
  }
}

}  // namespace

UnsettledEvent ReadUnsettled(const Statement& row) {
  return {.sequence = row.ColumnInt(0),
          .bytes = row.ColumnInt(1),
          .receive_time = TimeAt(row, 2),
          .delivery = row.ColumnInt(3),
          .void_delivery = row.ColumnInt(14),
          .attempts = static_cast<int>(row.ColumnInt(4)),
          .lost = static_cast<int>(row.ColumnInt(12)),
          .leased = row.ColumnInt(5) != 0,
          .consumer = std::string(row.ColumnText(13)),
          .due = TimeAt(row, 6),
          .delay = absl::Microseconds(row.ColumnInt(7)),
          .cause = static_cast<DeliveryCause>(row.ColumnInt(8)),
          .nacked = row.ColumnInt(9) != 0,
          .first_delivery_time = TimeAt(row, 10),
          .last_delivery_time = TimeAt(row, 11)};
}

DeadEvent ReadDead(const Statement& row) {
  return {.sequence = row.ColumnInt(0),
          .delivery = row.ColumnInt(3),
          .void_delivery = row.ColumnInt(11),
          .attempts = static_cast<int>(row.ColumnInt(4)),
          .lost = static_cast<int>(row.ColumnInt(10)),
          .cause = static_cast<DeliveryCause>(row.ColumnInt(5)),
          .nacked = row.ColumnInt(6) != 0,
          .bytes = row.ColumnInt(1),
          .receive_time = TimeAt(row, 2),
          .first_delivery_time = TimeAt(row, 7),
          .last_delivery_time = TimeAt(row, 8),
          .dead_letter_time = TimeAt(row, 9)};
}

absl::StatusOr<std::vector<StoredSubscription>> SubscriptionReader::LoadAll() {
  return LoadRows(0, std::numeric_limits<int64_t>::max());
}

absl::StatusOr<StoredSubscription> SubscriptionReader::Load(int64_t id) {
  ASSIGN_OR_RETURN(std::vector<StoredSubscription> found, LoadRows(id, id));
  if (found.empty()) return SubscriptionNotFound(absl::StrCat("with id ", id));
  return std::move(found.front());
}

// In one transaction: a subscription's position and its events are of the same commit.
absl::StatusOr<std::vector<StoredSubscription>> SubscriptionReader::LoadRows(int64_t first_id,
                                                                             int64_t last_id) {
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database_, Transaction::Kind::kRead));
  std::vector<StoredSubscription> subscriptions;
  {
    ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kSubscriptions));
    rows.BindInt(1, first_id);
    rows.BindInt(2, last_id);
    RETURN_IF_ERROR(ReadRows(rows, ReadSubscription, subscriptions));
  }
  for (StoredSubscription& subscription : subscriptions) RETURN_IF_ERROR(LoadEvents(subscription));
  return subscriptions;
}

absl::Status SubscriptionReader::LoadEvents(StoredSubscription& subscription) {
  ASSIGN_OR_RETURN(Statement unsettled, database_.Prepare(kUnsettled));
  unsettled.BindInt(1, subscription.id);
  RETURN_IF_ERROR(ReadRows(unsettled, ReadUnsettled, subscription.unsettled));
  ASSIGN_OR_RETURN(Statement dead, database_.Prepare(kDead));
  dead.BindInt(1, subscription.id);
  RETURN_IF_ERROR(ReadRows(dead, ReadDead, subscription.dead));
  ASSIGN_OR_RETURN(Statement jobs, database_.Prepare(kJobs));
  jobs.BindInt(1, subscription.id);
  RETURN_IF_ERROR(ReadRows(jobs, ReadJob, subscription.jobs));
  ASSIGN_OR_RETURN(Statement stretches, database_.Prepare(kStretches));
  stretches.BindInt(1, subscription.id);
  return ReadRows(stretches, ReadStretch, subscription.deliveries);
}

absl::StatusOr<std::vector<DeadEvent>> SubscriptionReader::LoadDeadLetters(int64_t id,
                                                                           Sequence after,
                                                                           size_t max) {
  ASSIGN_OR_RETURN(Statement rows, database_.Prepare(kDeadPage));
  rows.BindInt(1, id);
  rows.BindInt(2, after);
  rows.BindInt(3, static_cast<int64_t>(max));
  std::vector<DeadEvent> dead;
  RETURN_IF_ERROR(ReadRows(rows, ReadDeadWithReason, dead));
  return dead;
}

absl::StatusOr<std::vector<std::string>> SubscriptionReader::LoadNackReasons(
    int64_t id, const std::vector<Sequence>& sequences) {
  ASSIGN_OR_RETURN(Statement row, database_.Prepare(kNackReason));
  std::vector<std::string> reasons;
  reasons.reserve(sequences.size());
  for (const Sequence sequence : sequences) {
    row.BindInt(1, id);
    row.BindInt(2, sequence);
    RETURN_IF_ERROR(row.Step().status());
    reasons.push_back(std::string(row.ColumnText(0)));
    row.Reset();
  }
  return reasons;
}

}  // namespace hookgate
