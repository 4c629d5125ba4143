// A token bucket: so many a second, and so many at once.
#ifndef HOOKGATE_SERVER_BASE_RATE_LIMITER_H_
#define HOOKGATE_SERVER_BASE_RATE_LIMITER_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace hookgate {

struct RateLimit {
  double per_second = 0;  // more than 0
  double burst = 1;       // at least 1
};

// Thread-safe.
class RateLimiter {
 public:
  // Starts full. `clock` outlives the limiter.
  RateLimiter(const RateLimit& limit, const Clock& clock);

  // Takes a token and returns zero; or takes none, and returns how long until there is one.
  absl::Duration Take();

 private:
  // Constant after construction.
  const RateLimit limit_;
  const Clock& clock_;

  absl::Mutex mu_;
  double tokens_ ABSL_GUARDED_BY(mu_);
  absl::Duration counted_at_ ABSL_GUARDED_BY(mu_);  // monotonic time of tokens_
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_RATE_LIMITER_H_
