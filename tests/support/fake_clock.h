// A clock that stands still until a test moves it.
#ifndef HOOKGATE_TESTS_SUPPORT_FAKE_CLOCK_H_
#define HOOKGATE_TESTS_SUPPORT_FAKE_CLOCK_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace hookgate {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(absl::Time wall = absl::FromUnixSeconds(1'750'000'000)) : wall_(wall) {}

  absl::Time WallNow() const override {
    absl::MutexLock lock(&mu_);
    return wall_;
  }
  absl::Duration MonotonicNow() const override {
    absl::MutexLock lock(&mu_);
    return monotonic_;
  }

  // Lets time pass on both clocks.
  void Advance(absl::Duration duration) {
    absl::MutexLock lock(&mu_);
    wall_ += duration;
    monotonic_ += duration;
  }
  // Somebody sets the wall clock, forward or back; no time passes.
  void SetWall(absl::Time wall) {
    absl::MutexLock lock(&mu_);
    wall_ = wall;
  }

 private:
  mutable absl::Mutex mu_;
  absl::Time wall_ ABSL_GUARDED_BY(mu_);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mu_) = absl::Hours(1);
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_FAKE_CLOCK_H_
