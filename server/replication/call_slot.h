// Lets calls that take turns wait for theirs, each no longer than its time-out.
#ifndef HOOKGATE_SERVER_REPLICATION_CALL_SLOT_H_
#define HOOKGATE_SERVER_REPLICATION_CALL_SLOT_H_

#include <chrono>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/monotonic_cond_var.h"
#include "common/steady_deadline.h"

namespace hookgate {

// A moment of the monotonic clock at which a call is to end.
using SteadyTime = std::chrono::steady_clock::time_point;

// Not negative.
inline absl::Duration TimeLeft(SteadyTime deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  return left.count() > 0 ? absl::FromChrono(left) : absl::ZeroDuration();
}

// Thread-safe.
class CallSlot {
 public:
  // Holds the slot for a scope, if it got it.
  class Holder {
   public:
    Holder(CallSlot& slot, SteadyTime deadline) : slot_(slot), held_(slot.Acquire(deadline)) {}
    ~Holder() {
      if (held_) slot_.Release();
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    bool held() const { return held_; }

   private:
    CallSlot& slot_;
    const bool held_;
  };

 private:
  // False if it is not free by `deadline`.
  bool Acquire(SteadyTime deadline) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    while (taken_) {
      const absl::Duration left = TimeLeft(deadline);
      if (left <= absl::ZeroDuration()) return false;
      released_.WaitWithTimeout(&mu_, left);
    }
    taken_ = true;
    return true;
  }

  void Release() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    taken_ = false;
    released_.SignalAll();
  }

  absl::Mutex mu_;
  bool taken_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicCondVar released_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_CALL_SLOT_H_
