// Keeps the replicated log from growing for ever: removes the records that no replica should need
// any more.
#ifndef HOOKGATE_SERVER_CLUSTER_LOG_TRIMMER_H_
#define HOOKGATE_SERVER_CLUSTER_LOG_TRIMMER_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/base/monotonic_mutex.h"
#include "server/replication/replicated_log.h"

namespace hookgate {

// What may go is decided again by whoever leads. A record goes once it is older than the retention,
// by the wall clocks of the leaders that stored it and of the one that trims, and once this process
// has held it for `kLeastHeld` (or the retention, if that is shorter) by a clock that nobody can
// set. So a wall clock that is wrong costs a replica that was away a copy of another one's log, and
// nothing to replicas that follow.
//
// For one thread.
class TrimPoint {
 public:
  static constexpr absl::Duration kLeastHeld = absl::Hours(1);

  // `log` outlives this.
  TrimPoint(ReplicatedLog& log, absl::Duration retention) : log_(log), retention_(retention) {}

  // The replica has applied everything up to `applied`. `now` is monotonic, and never before that
  // of an earlier call.
  void NoteApplied(LogIndex applied, absl::Duration now);

  // The newest record that may go; 0: none. Errors as ReplicatedLog::Last and Read.
  //   lowest_applied  what a replica that is known has not applied stays
  absl::StatusOr<LogIndex> Find(LogIndex lowest_applied, absl::Time wall, absl::Duration now) const;

 private:
  struct Mark {
    LogIndex applied = 0;
    absl::Duration at;
  };
  absl::Duration least_held() const { return std::min(retention_, kLeastHeld); }

  ReplicatedLog& log_;
  const absl::Duration retention_;
  std::deque<Mark> marks_;  // rising in both
};

// Does so now and then, on a thread of its own, while this replica leads.
//
// Thread-safe.
class LogTrimmer {
 public:
  struct Applied {
    LogIndex here = 0;        // by this replica
    LogIndex everywhere = 0;  // the least of this one and of the others, as far as they are known
    bool leads = false;
  };

  // `log` and `clock` outlive this; `applied` is called on the thread.
  LogTrimmer(ReplicatedLog& log, absl::Duration retention, const Clock& clock,
             std::function<Applied()> applied);
  // Waits for a trim that is under way, and so for the time-out of the log at most: shut that down
  // first.
  ~LogTrimmer();

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the log may be used.
  bool CheckSettings();
  void Trim(const Applied& applied, const TrimPoint& point);

  // Constant after construction.
  ReplicatedLog& log_;
  const absl::Duration retention_;
  const absl::Duration interval_;
  const Clock& clock_;
  const std::function<Applied()> applied_;

  MonotonicMutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;

  std::thread thread_;  // last: runs on all of the above
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CLUSTER_LOG_TRIMMER_H_
