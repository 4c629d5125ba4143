#include "server/base/rate_limiter.h"

#include <algorithm>

namespace hookgate {

RateLimiter::RateLimiter(const RateLimit& limit, const Clock& clock)
    : limit_(limit), clock_(clock), tokens_(limit.burst), counted_at_(clock.MonotonicNow()) {}

absl::Duration RateLimiter::Take() {
  absl::MutexLock lock(&mu_);
  const absl::Duration now = clock_.MonotonicNow();
  const double earned = absl::ToDoubleSeconds(now - counted_at_) * limit_.per_second;
  tokens_ = std::min(limit_.burst, tokens_ + earned);
  counted_at_ = now;
  if (tokens_ < 1) return absl::Seconds((1 - tokens_) / limit_.per_second);
  tokens_ -= 1;
  return absl::ZeroDuration();
}

}  // namespace hookgate
