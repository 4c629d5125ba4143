// Removes events that are older than the configured age, in the background.
#ifndef HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
#define HOOKGATE_SERVER_EVENTLOG_RETENTION_H_

#include <cstdint>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"

namespace hookgate {

// Thread-safe.
class Retention {
 public:
  // Removes events received before a time, and returns how many.
  using Trim = absl::AnyInvocable<absl::StatusOr<int64_t>(absl::Time cutoff)>;

  // Calls `trim` now, and then each `interval`, on a thread of its own. `clock` outlives this.
  Retention(absl::Duration max_age, absl::Duration interval, Trim trim, const Clock& clock);
  // Waits for a trim under way.
  ~Retention();

 private:
  void Run();
  void TrimOnce();

  // Constant after construction.
  const absl::Duration max_age_;
  const absl::Duration interval_;
  const Clock& clock_;

  // Touched only by the thread.
  Trim trim_;

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
