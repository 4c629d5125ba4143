// Removes what is beyond the configured limits of age and size, in the background.
#ifndef HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
#define HOOKGATE_SERVER_EVENTLOG_RETENTION_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "server/base/monotonic_mutex.h"
#include "server/eventlog/event_ages.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// A sender may repeat a webhook for 72 h (OpenAI does); a day more for those who look late. A
// repeat is known by the event that is still there, so no limit removes an event younger than this:
// it stays until the log has been open for so long, whatever any clock says.
constexpr absl::Duration kMinEventAge = absl::Hours(96);

constexpr int64_t kNoMaxBytes = std::numeric_limits<int64_t>::max();

struct RetentionLimits {
  absl::Duration max_event_age = absl::Hours(24 * 30);
  // Of events that a durable subscription has not settled; not below max_event_age.
  absl::Duration max_unsettled_age = absl::Hours(24 * 90);
  // Of the whole log, as UsedBytes counts. While it is above, events go before max_event_age, but
  // not before kMinEventAge, nor before max_unsettled_age if they are not settled.
  int64_t max_bytes = kNoMaxBytes;
  absl::Duration max_quarantine_age = absl::Hours(24 * 30);
  int64_t max_quarantine_entries = 10'000;
  // What is remembered of deliveries: since it last changed, and how many events in all
  // subscriptions. Of a log with max_bytes, it takes no more than about a quarter of these.
  absl::Duration max_history_age = absl::Hours(24 * 14);
  int64_t max_history_rows = 1'000'000;
  absl::Duration max_conflict_age = absl::Hours(24 * 30);
  int64_t max_conflict_entries = 1000;
  int64_t max_conflict_bytes = 64 << 20;
};

// Events up to these sequences go.
struct TrimCutoffs {
  Sequence settled = 0;    // those that no durable subscription still owes its consumers
  Sequence unsettled = 0;  // all of them; not after `settled`
  // While the log uses more than this, those that nobody is owed go up to `excess`, too, if that is
  // later than `settled`.
  int64_t max_bytes = kNoMaxBytes;
  Sequence excess = 0;
};

// Which entries of the quarantine go: those not repeated since this one, and the oldest of those
// above the number.
struct QuarantineCutoffs {
  int64_t touch = 0;
  int64_t max_entries = 0;
};

// Which rows of the history of deliveries go: those that have not changed since the log ended
// before `head`, and those above the number that have not changed for longest.
struct HistoryCutoffs {
  Sequence head = 0;
  int64_t max_rows = 0;
};

// The same for conflicts, of which the bodies count as well.
struct ConflictCutoffs {
  int64_t touch = 0;
  int64_t max_entries = 0;
  int64_t max_bytes = 0;
};

// What a log can remove, and what it knows of its age. Called on the retention's thread; trims
// return how many are gone.
class RetentionTarget {
 public:
  virtual ~RetentionTarget() = default;
  // As stored last; for a log that has no ages yet, by its stamps up to `wall`, which is now.
  virtual absl::StatusOr<StoredAges> LoadAges(absl::Time wall) = 0;
  // Beside what else is committed.
  virtual absl::Status StoreAges(const AgeChanges& changes) = 0;
  // Of what is committed.
  virtual EventLogEnds Ends() = 0;
  // Oldest first, in steps. `go_on` is asked after each that removed something; what is left when
  // it says no stays.
  virtual absl::StatusOr<int64_t> Trim(
      const TrimCutoffs& cutoffs, absl::FunctionRef<bool()> go_on = [] { return true; }) = 0;
  // What the log takes of the disk: all that is stored, events with their indexes, the quarantine,
  // conflicts, and what subscriptions owe and remember; not the room that removed events have left
  // free in the file, which is used again. Quick, however much is stored.
  virtual absl::StatusOr<int64_t> UsedBytes() = 0;
  // Oldest first, in steps, as Trim.
  virtual absl::StatusOr<int64_t> TrimQuarantine(
      const QuarantineCutoffs& cutoffs, absl::FunctionRef<bool()> go_on = [] { return true; }) = 0;
  // The same for the history of deliveries. That of subscriptions that were deleted goes as well.
  virtual absl::StatusOr<int64_t> TrimHistory(
      const HistoryCutoffs& cutoffs, absl::FunctionRef<bool()> go_on = [] { return true; }) = 0;
  virtual absl::StatusOr<int64_t> TrimConflicts(
      const ConflictCutoffs& cutoffs, absl::FunctionRef<bool()> go_on = [] { return true; }) = 0;
};

// No wall clock decides what is old: see event_ages.h. One that is set, or that is wrong at a
// start, delays what is to go, and a warning says so.
//
// Thread-safe.
class Retention {
 public:
  // Trims now, and then each `interval`, on a thread of its own, which also keeps the log's age.
  // `log` and `clock` outlive this.
  //   trimmed  called there after events have been removed
  Retention(
      const RetentionLimits& limits, absl::Duration interval, RetentionTarget& log,
      const Clock& clock, std::function<void()> trimmed = [] {});
  // Waits for a step under way.
  ~Retention();

  // In force from the next step on.
  void SetLimits(const RetentionLimits& limits) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // False: the log does not tell how old it is.
  bool NoteTime(const RetentionLimits& limits);
  void StoreAges(bool all);
  void Trim(const RetentionLimits& limits);
  void TrimQuarantine(const RetentionLimits& limits);
  void TrimHistory(const RetentionLimits& limits);
  void TrimConflicts(const RetentionLimits& limits);
  bool HasNews() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return limits_changed_ || stopping_; }
  // Rests after a step that took so long, for `times` as long. False if there is news.
  bool Rest(absl::Duration step, int times) ABSL_LOCKS_EXCLUDED(mu_);
  // Warns if nothing more may be removed, and the log is above its limit all the same.
  void CheckUse(const RetentionLimits& limits);

  // Constant after construction.
  const absl::Duration interval_;
  RetentionTarget& log_;
  const Clock& clock_;
  const std::function<void()> trimmed_;

  // Touched only by the thread.
  absl::optional<absl::Duration> warned_at_;  // monotonic; nullopt: not above max_bytes
  absl::optional<EventAges> ages_;            // nullopt: not loaded yet
  bool told_uncredited_ = false;

  MonotonicMutex mu_;
  RetentionLimits limits_ ABSL_GUARDED_BY(mu_);
  bool limits_changed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_RETENTION_H_
