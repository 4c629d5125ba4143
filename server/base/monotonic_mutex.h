// A mutex on which a thread can wait for a condition and not longer than a time, whatever becomes
// of the wall clock.
//
// absl::Mutex waits until a moment of the wall clock: when that is set back by hours, a wait of
// milliseconds lasts for hours. So whatever waits with a time-out, and matters, waits here.
//
//   MonotonicMutexLock lock(&mu_);
//   mu_.AwaitWithTimeout([this] { return stopping_; }, absl::Seconds(1));
#ifndef HOOKGATE_SERVER_BASE_MONOTONIC_MUTEX_H_
#define HOOKGATE_SERVER_BASE_MONOTONIC_MUTEX_H_

#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace hookgate {

// Thread-safe; one thread at a time may wait.
class ABSL_LOCKABLE MonotonicMutex {
 public:
  MonotonicMutex() = default;
  MonotonicMutex(const MonotonicMutex&) = delete;
  MonotonicMutex& operator=(const MonotonicMutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION();

  // Gives the mutex up until `condition` holds or `timeout` is over, a year at most; returns
  // whether it holds. Whoever unlocks evaluates `condition`, with the mutex held: the waiting
  // thread is woken only when it has what it waits for.
  bool AwaitWithTimeout(absl::FunctionRef<bool()> condition, absl::Duration timeout)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(this);

 private:
  std::mutex mu_;
  std::condition_variable holds_;
  const absl::FunctionRef<bool()>* condition_ = nullptr;  // of the thread that waits
};

// Holds it for a scope.
class ABSL_SCOPED_LOCKABLE MonotonicMutexLock {
 public:
  explicit MonotonicMutexLock(MonotonicMutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) {
    mu_->Lock();
  }
  ~MonotonicMutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MonotonicMutexLock(const MonotonicMutexLock&) = delete;
  MonotonicMutexLock& operator=(const MonotonicMutexLock&) = delete;

 private:
  MonotonicMutex* const mu_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_MONOTONIC_MUTEX_H_
