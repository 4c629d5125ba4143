#include "server/grpc_server/frame_limiter.h"

#include <algorithm>

namespace hookgate {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

FrameLimiter::FrameLimiter(int burst, int per_second, absl::Duration now)
    : burst_(burst),
      per_second_(per_second),
      tokens_(burst),
      filled_at_ns_(absl::ToInt64Nanoseconds(now)) {}

// A second more than fills it is lost.
void FrameLimiter::Fill(absl::Duration now) {
  if (per_second_ == 0) return;
  const int64_t ns = absl::ToInt64Nanoseconds(now);
  const int64_t per_token = std::max<int64_t>(1, kNanosecondsPerSecond / per_second_);
  const int64_t earned = std::max<int64_t>(0, ns - filled_at_ns_) / per_token;
  filled_at_ns_ = earned > burst_ - tokens_ ? ns : filled_at_ns_ + earned * per_token;
  tokens_ = std::min(tokens_ + earned, burst_);
}

bool FrameLimiter::IsNearlyFull(absl::Duration now) { return Holds(burst_ - burst_ / 10, now); }

bool FrameLimiter::IsHalfFull(absl::Duration now) { return Holds(burst_ / 2, now); }

bool FrameLimiter::Holds(int64_t tokens, absl::Duration now) {
  if (tokens_ < tokens) Fill(now);
  return tokens_ >= tokens;
}

bool FrameLimiter::Take(absl::Duration now) {
  if (tokens_ == 0) Fill(now);  // Only now, so that the usual frame costs no arithmetic.
  if (tokens_ == 0) return false;
  --tokens_;
  return true;
}

void FrameLimiter::Earn(int count) { tokens_ = std::min(tokens_ + count, 2 * burst_); }

}  // namespace hookgate
