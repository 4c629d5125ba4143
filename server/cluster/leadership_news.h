// That there may be another leader, or one that begins to decide: for what waits for one.
#ifndef HOOKGATE_SERVER_CLUSTER_LEADERSHIP_NEWS_H_
#define HOOKGATE_SERVER_CLUSTER_LEADERSHIP_NEWS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/monotonic_cond_var.h"
#include "common/steady_deadline.h"

namespace hookgate {

// Thread-safe; one thread at a time waits.
class LeadershipNews {
 public:
  // How often there was news. A caller that asks a leader looks at this first: what is announced
  // while it is being refused is news to it.
  int64_t count() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return count_;
  }

  void Announce() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    ++count_;
    changed_.SignalAll();
  }

  // Ends the wait in Await, or the next one if there is none now, without news.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    woken_ = true;
    changed_.SignalAll();
  }

  // Waits until there was news more than `seen` times, until Wake, or for `timeout`.
  void Await(int64_t seen, absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    const auto end = SteadyDeadline(timeout);
    absl::MutexLock lock(&mu_);
    while (count_ <= seen && !woken_) {
      const auto left = end - std::chrono::steady_clock::now();
      if (left.count() <= 0) break;
      changed_.WaitWithTimeout(&mu_, absl::FromChrono(left));
    }
    woken_ = false;
  }

 private:
  mutable absl::Mutex mu_;
  MonotonicCondVar changed_;
  int64_t count_ ABSL_GUARDED_BY(mu_) = 0;
  bool woken_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_LEADERSHIP_NEWS_H_
