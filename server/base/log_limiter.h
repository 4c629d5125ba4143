// Bounds how much of the log others can fill: whoever reaches the port can cause refusals, each of
// which is worth a line, at any rate.
#ifndef HOOKGATE_SERVER_BASE_LOG_LIMITER_H_
#define HOOKGATE_SERVER_BASE_LOG_LIMITER_H_

#include <atomic>
#include <cstdint>

#include "absl/types/optional.h"
#include "server/base/clock.h"
#include "server/base/rate_limiter.h"

namespace hookgate {

//   if (const auto suppressed = limiter.Take(); suppressed.has_value()) {
//     Log(Severity::kInfo, "refused", {{"suppressed", *suppressed}});
//   }
//
// Thread-safe.
class LogLimiter {
 public:
  static constexpr int kLinesPerSecond = 10;
  static constexpr int kBurst = 20;

  // `clock` outlives the limiter.
  explicit LogLimiter(const Clock& clock);

  // How many lines were suppressed since the one before; nullopt if this one is, too.
  absl::optional<int64_t> Take();

 private:
  RateLimiter lines_;
  std::atomic<int64_t> suppressed_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_LOG_LIMITER_H_
