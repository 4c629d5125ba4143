// Bounds how many log lines others can cause: anybody who reaches the port can cause refusals at
// any rate, and each of them is worth a line.
#ifndef HOOKGATE_SERVER_BASE_LOG_LIMITER_H_
#define HOOKGATE_SERVER_BASE_LOG_LIMITER_H_

#include <atomic>
#include <cstdint>

#include "absl/types/optional.h"
#include "common/clock.h"
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
  // About strangers: 86,400 lines a day of at most some 500 bytes each, which is 43 MB.
  static constexpr int kStrangerLinesPerSecond = 1;
  static constexpr int kBurst = 20;

  // `clock` outlives the limiter.
  explicit LogLimiter(const Clock& clock, int lines_per_second = kLinesPerSecond);

  // How many lines were suppressed since the one before; nullopt if this one is, too.
  absl::optional<int64_t> Take();

 private:
  RateLimiter lines_;
  std::atomic<int64_t> suppressed_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_LOG_LIMITER_H_
