// Calls back when what was expected does not come in time.
#ifndef HOOKGATE_CLIENT_WATCHDOG_H_
#define HOOKGATE_CLIENT_WATCHDOG_H_

#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace hookgate {

class MonotonicCondVar;

// Barks at most once in its life. Thread-safe.
class Watchdog {
 public:
  // `bark` runs on the watchdog's own thread.
  explicit Watchdog(std::function<void()> bark);
  // Waits for a bark that is under way; none begins afterwards.
  ~Watchdog();

  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // Barks `patience` from now unless Arm or Disarm is called before.
  void Arm(absl::Duration patience) ABSL_LOCKS_EXCLUDED(mu_);
  void Disarm() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Watch() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::function<void()> bark_;

  absl::Mutex mu_;
  const std::unique_ptr<MonotonicCondVar> changed_;
  // On the monotonic clock; infinite when disarmed.
  absl::Duration due_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // Until when the thread waits.
  absl::Duration wakes_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  bool over_ ABSL_GUARDED_BY(mu_) = false;

  // Last: it uses everything above. Touched by the constructor and the destructor only.
  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_WATCHDOG_H_
