#include "common/clock.h"

#include <chrono>

namespace hookgate {
namespace {

class SystemClockImpl final : public Clock {
 public:
  // absl::Now goes on for up to two seconds after the clock was set.
  absl::Time WallNow() const override { return absl::FromChrono(std::chrono::system_clock::now()); }
  absl::Duration MonotonicNow() const override {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }
};

}  // namespace

const Clock& SystemClock() {
  static const SystemClockImpl clock;
  return clock;
}

}  // namespace hookgate
