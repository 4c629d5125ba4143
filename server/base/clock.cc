#include "server/base/clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace hookgate {
namespace {

class SystemClockImpl final : public Clock {
 public:
  absl::Time WallNow() const override { return absl::Now(); }
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
