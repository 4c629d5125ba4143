// Rows of the table delivery_history, as the writer and the readers select them.
#ifndef HOOKGATE_SERVER_EVENTLOG_HISTORY_ROWS_H_
#define HOOKGATE_SERVER_EVENTLOG_HISTORY_ROWS_H_

#include "absl/status/statusor.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

// The columns that ReadHistory reads, in its order.
#define HOOKGATE_HISTORY_COLUMNS                                   \
  "sequence, outcome, time_us, consumer, number, "                 \
  "first_delivery_time_us, last_delivery_time_us, attempt_count, " \
  "attempts"

namespace hookgate {

// DATA_LOSS if its attempts cannot be read.
absl::StatusOr<DeliveryHistory> ReadHistory(const Statement& row);

// The attempts as they are stored: none if the other columns say all of it, because there was one
// attempt, and it was acked.
bool SaysAll(const DeliveryHistory& history);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_HISTORY_ROWS_H_
