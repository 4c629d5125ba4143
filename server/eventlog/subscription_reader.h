// Reads durable subscriptions as they are stored.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

namespace hookgate {

// Not thread-safe: one thread at a time. Calls mean what they mean in SubscriptionLog.
class SubscriptionReader {
 public:
  // `database` outlives the reader.
  explicit SubscriptionReader(Database& database) : database_(database) {}

  absl::StatusOr<std::vector<StoredSubscription>> LoadAll();
  absl::StatusOr<StoredSubscription> Load(int64_t id);
  absl::StatusOr<std::vector<DeadEvent>> LoadDeadLetters(int64_t id, Sequence after, size_t max);
  absl::StatusOr<std::vector<std::string>> LoadNackReasons(int64_t id,
                                                           const std::vector<Sequence>& sequences);

 private:
  absl::StatusOr<std::vector<StoredSubscription>> LoadRows(int64_t first_id, int64_t last_id);
  absl::Status LoadEvents(StoredSubscription& subscription);

  Database& database_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_READER_H_
