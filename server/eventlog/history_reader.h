// Reads what is stored of single events in durable subscriptions.
#ifndef HOOKGATE_SERVER_EVENTLOG_HISTORY_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_HISTORY_READER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

namespace hookgate {

// Not thread-safe: one thread at a time. Explain and Scan mean what they mean in SubscriptionLog.
class HistoryReader {
 public:
  // `database` outlives the reader.
  explicit HistoryReader(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<StoredExplanation>> Explain(Sequence sequence,
                                                         const std::vector<int64_t>& ids);
  absl::StatusOr<DeliveryScanPage> Scan(int64_t id, const DeliveryScan& scan);

  // How many rows of history there are. Walks through an index of them.
  absl::StatusOr<int64_t> Count();
  // A subscription that is gone, and of which there still are rows; 0: there is none. Costs a step
  // a subscription.
  absl::StatusOr<int64_t> FindForgotten();

 private:
  Database& database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_HISTORY_READER_H_
