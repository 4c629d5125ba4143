#include "server/base/log_limiter.h"

namespace hookgate {

LogLimiter::LogLimiter(const Clock& clock, int lines_per_second)
    : lines_({.per_second = static_cast<double>(lines_per_second), .burst = kBurst}, clock) {}

absl::optional<int64_t> LogLimiter::Take() {
  if (lines_.Take() > absl::ZeroDuration()) {
    ++suppressed_;
    return absl::nullopt;
  }
  return suppressed_.exchange(0);
}

}  // namespace hookgate
