#include "server/base/monotonic_mutex.h"

#include <algorithm>
#include <chrono>

namespace hookgate {
namespace {

// What the standard library can add to now without overflow.
constexpr absl::Duration kLongest = absl::Hours(24 * 365);

}  // namespace

void MonotonicMutex::Unlock() {
  // Notified with the mutex held: once it is given up, its owner may be gone.
  if (condition_ != nullptr && (*condition_)()) holds_.notify_one();
  mu_.unlock();
}

bool MonotonicMutex::AwaitWithTimeout(absl::FunctionRef<bool()> condition, absl::Duration timeout) {
  if (condition() || timeout <= absl::ZeroDuration()) return condition();
  const auto until =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(timeout, kLongest));
  std::unique_lock<std::mutex> lock(mu_, std::adopt_lock);
  condition_ = &condition;
  const bool holds = holds_.wait_until(lock, until, condition);
  condition_ = nullptr;
  lock.release();  // Still locked, as the caller has it.
  return holds;
}

}  // namespace hookgate
