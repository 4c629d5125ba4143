// A condition variable on which a thread waits not longer than a time, whatever becomes of the wall
// clock (server/base/monotonic_mutex.h has why), for several threads that wait with one mutex.
// Where one waits, MonotonicMutex is simpler.
#ifndef HOOKGATE_COMMON_MONOTONIC_COND_VAR_H_
#define HOOKGATE_COMMON_MONOTONIC_COND_VAR_H_

#include <condition_variable>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace hookgate {

// Thread-safe. As absl::CondVar: a wait may also end for no reason.
class MonotonicCondVar {
 public:
  MonotonicCondVar() = default;
  MonotonicCondVar(const MonotonicCondVar&) = delete;
  MonotonicCondVar& operator=(const MonotonicCondVar&) = delete;

  // Gives `mu` up until it is signalled.
  void Wait(absl::Mutex* mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  // The same, for `timeout` at most; a year at most.
  void WaitWithTimeout(absl::Mutex* mu, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void SignalAll() { condition_.notify_all(); }

 private:
  std::condition_variable_any condition_;
};

}  // namespace hookgate

#endif  // HOOKGATE_COMMON_MONOTONIC_COND_VAR_H_
