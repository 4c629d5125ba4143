// How consumers name a delivery: "<subscription>.<sequence>.<number>". Opaque to them. The
// subscription's id is in it, so that one of a deleted subscription means nothing to its successor.
#ifndef HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_
#define HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "server/delivery/subscription_state.h"

namespace hookgate {

std::string FormatDeliveryId(int64_t subscription, const DeliveryId& id);

// Nullopt: no delivery id of this subscription.
absl::optional<DeliveryId> ParseDeliveryId(absl::string_view text, int64_t subscription);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_DELIVERY_ID_H_
