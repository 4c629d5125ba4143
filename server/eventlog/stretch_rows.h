// The rows of the tables stretches and delivery_stretches (store/schema.h).
#ifndef HOOKGATE_SERVER_EVENTLOG_STRETCH_ROWS_H_
#define HOOKGATE_SERVER_EVENTLOG_STRETCH_ROWS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/eventlog/event_log_history.h"
#include "server/store/database.h"

namespace hookgate {

// Those of the log's sequences, in ascending order.
absl::StatusOr<std::vector<Stretch>> LoadStretches(Database& database);

// Within a transaction: each subscription's deliveries have this mark from now on. One that has
// delivered nothing since the last time has that one's row replaced; the newest 16 of each stay.
absl::Status WriteDeliveryStretches(Database& database, HistoryMark mark);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STRETCH_ROWS_H_
