#include "server/net/handshake_limiter.h"

#include <algorithm>

namespace hookgate {
namespace {

// Seconds' worth of handshakes that may come at once.
constexpr double kBurstSeconds = 2;
constexpr size_t kLeastToForget = 1024;

}  // namespace

HandshakeLimiter::HandshakeLimiter(const Limits& limits, const Clock& clock)
    : per_second_(limits.per_second),
      per_second_of_an_address_(limits.per_second_of_an_address),
      clock_(clock),
      all_{kBurstSeconds * per_second_, clock.MonotonicNow()},
      forget_at_(kLeastToForget) {}

bool HandshakeLimiter::HasRoom() {
  Refill(all_, per_second_, clock_.MonotonicNow());
  return all_.tokens >= 1;
}

bool HandshakeLimiter::Take(const Address& address, bool exempt) {
  const absl::Duration now = clock_.MonotonicNow();
  Refill(all_, per_second_, now);
  if (!exempt) {
    if (shares_.size() >= forget_at_) ForgetQuietOnes(now);
    const Bucket full = {kBurstSeconds * per_second_of_an_address_, now};
    Bucket& share = shares_.try_emplace(ConnectionTable::NetworkOf(address), full).first->second;
    Refill(share, per_second_of_an_address_, now);
    if (share.tokens < 1) return false;
    share.tokens -= 1;
  }
  all_.tokens -= 1;
  return true;
}

void HandshakeLimiter::Refill(Bucket& bucket, double per_second, absl::Duration now) {
  const double earned = absl::ToDoubleSeconds(now - bucket.at) * per_second;
  bucket.tokens = std::min(kBurstSeconds * per_second, bucket.tokens + earned);
  bucket.at = now;
}

// As often as their number has doubled, so that each costs little. Those that are left are few:
// each has begun a handshake within the last moment, and all of them have a bound.
void HandshakeLimiter::ForgetQuietOnes(absl::Duration now) {
  for (auto share = shares_.begin(); share != shares_.end();) {
    Refill(share->second, per_second_of_an_address_, now);
    const bool is_full = share->second.tokens >= kBurstSeconds * per_second_of_an_address_;
    if (is_full) {
      shares_.erase(share++);
    } else {
      ++share;
    }
  }
  forget_at_ = std::max(kLeastToForget, 2 * shares_.size());
}

}  // namespace hookgate
