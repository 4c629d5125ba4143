#include "client/watchdog.h"

#include <utility>

#include "common/clock.h"
#include "common/monotonic_cond_var.h"

namespace hookgate {

Watchdog::Watchdog(std::function<void()> bark)
    : bark_(std::move(bark)),
      changed_(std::make_unique<MonotonicCondVar>()),
      thread_([this] { Watch(); }) {}

Watchdog::~Watchdog() {
  {
    absl::MutexLock lock(&mu_);
    over_ = true;
    changed_->SignalAll();
  }
  thread_.join();
}

void Watchdog::Arm(absl::Duration patience) {
  absl::MutexLock lock(&mu_);
  due_ = SystemClock().MonotonicNow() + patience;
  // A thread that wakes earlier finds the new time then; so a busy stream costs no wake-ups.
  if (due_ < wakes_at_) changed_->SignalAll();
}

void Watchdog::Disarm() {
  absl::MutexLock lock(&mu_);
  due_ = absl::InfiniteDuration();
}

void Watchdog::Watch() {
  {
    absl::MutexLock lock(&mu_);
    while (true) {
      if (over_) return;
      const absl::Duration left = due_ - SystemClock().MonotonicNow();
      if (left <= absl::ZeroDuration()) break;
      wakes_at_ = due_;
      changed_->WaitWithTimeout(&mu_, left);
    }
  }
  bark_();  // Without the lock: it may call anything.
}

}  // namespace hookgate
