// Reads the stored history of single events in durable subscriptions.
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

  // Counts the rows of history. Walks through an index of all of them.
  absl::StatusOr<int64_t> Count();
  // Returns a deleted subscription that still has rows, or 0. Takes one step of the index for each
  // subscription.
  absl::StatusOr<int64_t> FindForgotten();

 private:
  Database& database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_HISTORY_READER_H_
