// Times as SubscriptionState keeps them: microseconds, of the wall clock since the epoch, or of the
// monotonic clock. For its own files.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_TIME_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_TIME_H_

#include <cstdint>

#include "absl/time/time.h"

namespace hookgate {

inline int64_t Us(absl::Duration monotonic) { return absl::ToInt64Microseconds(monotonic); }
inline int64_t Us(absl::Time wall) { return absl::ToUnixMicros(wall); }
inline absl::Time WallAt(int64_t us) { return absl::FromUnixMicros(us); }

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_STATE_TIME_H_
