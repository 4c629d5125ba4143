// How consumers name a delivery: "<subscription>.<sequence>.<number>.<mark>". Opaque to them. The
// subscription's id is in it, so that one of a deleted subscription means nothing to its successor;
// the mark of the delivery's number (eventlog/event_log_history.h), so that one that was given
// before the log was put back means nothing to the log that went on from the backup.
#ifndef HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_
#define HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "server/delivery/cursor.h"
#include "server/delivery/subscription_state.h"
#include "server/eventlog/event_log_history.h"

namespace hookgate {

// What the ids of one subscription have in common.
struct DeliveryIds {
  int64_t subscription = 0;  // its id
  Stretches numbers;         // of its deliveries
};

// Three numbers, and what is between them.
inline constexpr size_t kMaxDeliveryIdBytes = 3 * 20 + 3 + kMarkBytes;

std::string FormatDeliveryId(const DeliveryIds& ids, const DeliveryId& id);
// The same into `buffer`, which has room for kMaxDeliveryIdBytes. Returns the end.
char* FormatDeliveryIdTo(char* buffer, const DeliveryIds& ids, const DeliveryId& id);

// Nullopt: not a delivery id of this subscription, or of another history. Ids of Hookgate 0.1 have
// no mark: they are taken for deliveries of before the subscription's first stretch.
absl::optional<DeliveryId> ParseDeliveryId(absl::string_view text, const DeliveryIds& ids);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_
