#include "server/eventlog/history_rows.h"

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/status.h"
#include "server/eventlog/delivery_history.h"

namespace hookgate {
namespace {

absl::Time TimeAt(const Statement& row, int column) {
  return absl::FromUnixMicros(row.ColumnInt(column));
}

}  // namespace

absl::StatusOr<DeliveryHistory> ReadHistory(const Statement& row) {
  DeliveryHistory history = {.sequence = row.ColumnInt(0),
                             .outcome = static_cast<DeliveryOutcome>(row.ColumnInt(1)),
                             .time = TimeAt(row, 2),
                             .consumer = std::string(row.ColumnText(3)),
                             .number = static_cast<int>(row.ColumnInt(4)),
                             .first_delivery_time = TimeAt(row, 5),
                             .last_delivery_time = TimeAt(row, 6),
                             .count = row.ColumnInt(7)};
  ASSIGN_OR_RETURN(history.attempts, DecodeAttempts(row.ColumnBlob(8)));
  if (history.attempts.empty() && history.count == 1) {
    history.attempts.push_back({.number = history.number,
                                .consumer = history.consumer,
                                .begin = history.last_delivery_time,
                                .end = history.time,
                                .how = DeliveryEnd::kAcked});
  }
  return history;
}

bool SaysAll(const DeliveryHistory& history) {
  return history.outcome == DeliveryOutcome::kAcked && history.count == 1 &&
         history.attempts.size() == 1 && history.attempts.front().how == DeliveryEnd::kAcked;
}

}  // namespace hookgate
