// What the writer thread does to events.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/log_job.h"
#include "server/eventlog/retention.h"

namespace hookgate {

// How many rows were concerned.
using CountDone = absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&>;

std::unique_ptr<LogJob> MakeAppendJob(std::unique_ptr<LogEvent> event, EventLog::AppendDone done);

// Removes the oldest events, at most `max_events`, as long as they were received before
// `cutoffs.settled`, and, if a durable subscription has not settled them, before
// `cutoffs.unsettled`. Stops at the first that stays: what is left has no hole. `done` gets how
// many were removed.
std::unique_ptr<LogJob> MakeTrimJob(const TrimCutoffs& cutoffs, int64_t max_events, CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_JOBS_H_
