// What the writer thread does to the quarantine. Meanings as in EventLog and QuarantineLog.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "server/eventlog/event_jobs.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/log_job.h"

namespace hookgate {

std::unique_ptr<LogJob> MakeQuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook,
                                          EventLog::QuarantineDone done);

// Appends `event` and removes the entry `id`, both or neither. NOT_FOUND if there is no such entry.
std::unique_ptr<LogJob> MakeReleaseJob(int64_t id, std::unique_ptr<LogEvent> event,
                                       EventLog::AppendDone done);

// Removes the entry `id`. NOT_FOUND if there is none.
std::unique_ptr<LogJob> MakeDiscardJob(int64_t id, EventLog::QuarantineDone done);

// Removes entries that were received before `cutoff` for the last time, and of the others all but
// the newest `max_entries`. `done` gets how many were removed.
std::unique_ptr<LogJob> MakeTrimQuarantineJob(absl::Time cutoff, int64_t max_entries,
                                              CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_
