// Removes what is older than the configured limits, in the background.
#ifndef HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
#define HOOKGATE_SERVER_EVENTLOG_RETENTION_H_

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/monotonic_mutex.h"

namespace hookgate {

struct RetentionLimits {
  absl::Duration max_event_age = absl::Hours(24 * 30);
  // Of events that a durable subscription has not settled; not below max_event_age.
  absl::Duration max_unsettled_age = absl::Hours(24 * 90);
  absl::Duration max_quarantine_age = absl::Hours(24 * 30);
  int64_t max_quarantine_entries = 10'000;
};

// Events received before these go.
struct TrimCutoffs {
  absl::Time settled;    // those that no durable subscription still owes its consumers
  absl::Time unsettled;  // all of them; not after `settled`
};

// What a log can remove. Called on the retention's thread; returns how many are gone.
class Trimmable {
 public:
  virtual ~Trimmable() = default;
  // Oldest first.
  virtual absl::StatusOr<int64_t> Trim(const TrimCutoffs& cutoffs) = 0;
  // Quarantined webhooks received before `cutoff` for the last time, and the oldest of those above
  // `max_entries`.
  virtual absl::StatusOr<int64_t> TrimQuarantine(absl::Time cutoff, int64_t max_entries) = 0;
};

// Thread-safe.
class Retention {
 public:
  // Trims now, and then each `interval`, on a thread of its own. `log` and `clock` outlive this.
  //   trimmed  called there after events have been removed
  Retention(
      const RetentionLimits& limits, absl::Duration interval, Trimmable& log, const Clock& clock,
      std::function<void()> trimmed = [] {});
  // Waits for a trim under way.
  ~Retention();

  // In force from the next trim on, which comes at once.
  void SetLimits(const RetentionLimits& limits) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Trim(const RetentionLimits& limits);

  // Constant after construction.
  const absl::Duration interval_;
  Trimmable& log_;
  const Clock& clock_;
  const std::function<void()> trimmed_;

  MonotonicMutex mu_;
  RetentionLimits limits_ ABSL_GUARDED_BY(mu_);
  bool limits_changed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
