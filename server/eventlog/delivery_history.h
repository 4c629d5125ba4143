// What is remembered of an event in a subscription: how it grows, and its attempts as bytes. Pure.
#ifndef HOOKGATE_SERVER_EVENTLOG_DELIVERY_HISTORY_H_
#define HOOKGATE_SERVER_EVENTLOG_DELIVERY_HISTORY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/eventlog/subscription_rows.h"

namespace hookgate {

// `history` once `entry` has happened. Beyond DeliveryHistory::kMaxAttempts the oldest attempt
// goes, and beyond kMaxReasonBytes the oldest reasons.
void AddEntry(const HistoryEntry& entry, DeliveryHistory& history);

// Each attempt, oldest first: number, delivery, begin, duration, how, consumer, reason. Numbers are
// varints as in protobuf; times are microseconds, zigzag, the begin since the Unix epoch; a text is
// its length and its bytes.
std::string EncodeAttempts(const std::vector<DeliveryAttempt>& attempts);

// DATA_LOSS if the bytes are none that EncodeAttempts makes.
absl::StatusOr<std::vector<DeliveryAttempt>> DecodeAttempts(absl::string_view bytes);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_DELIVERY_HISTORY_H_
