// What the writer thread does to events.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/eventlog/commit_job.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/retention.h"

namespace hookgate {

// How many rows were concerned.
using CountDone = absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&>;

std::unique_ptr<CommitJob> MakeAppendJob(std::unique_ptr<StoredEvent> event,
                                         EventLog::AppendDone done);

// How much one job removes at most: one event, whatever its size, or several within both.
struct TrimStep {
  int64_t max_events;
  int64_t max_bytes;  // of envelopes and raw bodies
};

// Removes the oldest events, at most a `step` of them, as `cutoffs` say: whether the log is above
// their max_bytes is looked at within the transaction. Stops at the first that stays: what is left
// has no hole. `done` gets how many were removed; 0: nothing is left to remove.
std::unique_ptr<CommitJob> MakeTrimJob(const TrimCutoffs& cutoffs, const TrimStep& step,
                                       CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_
