#include "common/monotonic_cond_var.h"

#include "common/steady_deadline.h"

namespace hookgate {
namespace {

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
  condition_.wait_until(lockable, SteadyDeadline(timeout));
}

}  // namespace hookgate
