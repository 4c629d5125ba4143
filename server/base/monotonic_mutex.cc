#include "server/base/monotonic_mutex.h"

#include "common/steady_deadline.h"

namespace hookgate {

void MonotonicMutex::Unlock() {
  // Notified with the mutex held: once it is given up, its owner may be gone.
  if (condition_ != nullptr && (*condition_)()) holds_.notify_one();
  mu_.unlock();
}

bool MonotonicMutex::AwaitWithTimeout(absl::FunctionRef<bool()> condition, absl::Duration timeout) {
  if (condition() || timeout <= absl::ZeroDuration()) return condition();
  std::unique_lock<std::mutex> lock(mu_, std::adopt_lock);
  condition_ = &condition;
  const bool holds = holds_.wait_until(lock, SteadyDeadline(timeout), condition);
  condition_ = nullptr;
  lock.release();  // Still locked, as the caller has it.
  return holds;
}

}  // namespace hookgate
