// Reads durable subscriptions as they are stored.
#ifndef HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_READER_H_
#define HOOKGATE_SERVER_EVENTLOG_SUBSCRIPTION_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/eventlog/subscription_rows.h"
#include "server/store/database.h"

// The columns that ReadUnsettled and ReadDead read, in their order. The reason itself may follow.
#define HOOKGATE_UNSETTLED_COLUMNS                                                   \
  "sequence, bytes, receive_time_us, delivery, attempts, leased, due_us, delay_us, " \
  "cause, nack_reason <> '', first_delivery_time_us, last_delivery_time_us, lost, "  \
  "consumer, void_delivery"
#define HOOKGATE_DEAD_COLUMNS                                          \
  "sequence, bytes, receive_time_us, delivery, attempts, cause, "      \
  "nack_reason <> '', first_delivery_time_us, last_delivery_time_us, " \
  "dead_letter_time_us, lost, void_delivery"

namespace hookgate {

// Where the reason is that follows them.
constexpr int kUnsettledReasonColumn = 15;
constexpr int kDeadReasonColumn = 12;

// Without the reasons.
UnsettledEvent ReadUnsettled(const Statement& row);
DeadEvent ReadDead(const Statement& row);

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
