#include "server/grpc_server/time_share.h"

#include <algorithm>

namespace hookgate {

TimeShare::TimeShare(double share, absl::Duration burst, absl::Duration now)
    : share_(share), burst_(burst), left_(burst), counted_at_(now) {}

bool TimeShare::MayBegin(absl::Duration now) {
  if (now > counted_at_) {
    left_ = std::min(burst_, left_ + (now - counted_at_) * share_);
    counted_at_ = now;
  }
  return left_ > absl::ZeroDuration();
}

void TimeShare::Spend(absl::Duration time) {
  left_ = std::max(left_ - time, -kMaxDebtInBursts * burst_);
}

absl::Duration TimeShare::next() const {
  if (left_ > absl::ZeroDuration()) return counted_at_;
  return counted_at_ + (absl::Nanoseconds(1) - left_) / share_ + absl::Nanoseconds(1);
}

}  // namespace hookgate
