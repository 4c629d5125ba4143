#include "server/base/monotonic_cond_var.h"

#include <algorithm>
#include <chrono>

namespace hookgate {
namespace {

// What the standard library can add to now without overflow.
constexpr absl::Duration kLongest = absl::Hours(24 * 365);

// As the standard library spells a mutex.
struct Lockable {
  void lock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu->Lock(); }
  void unlock() ABSL_NO_THREAD_SAFETY_ANALYSIS { mu->Unlock(); }

  absl::Mutex* const mu;
};

}  // namespace

void MonotonicCondVar::Wait(absl::Mutex* mu) {
  Lockable lockable{mu};
  condition_.wait(lockable);
}

void MonotonicCondVar::WaitWithTimeout(absl::Mutex* mu, absl::Duration timeout) {
  Lockable lockable{mu};
  const auto until =
      std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(std::min(timeout, kLongest));
  condition_.wait_until(lockable, until);
}

}  // namespace hookgate
