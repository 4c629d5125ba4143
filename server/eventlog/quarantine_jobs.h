// What the writer thread does to the quarantine. Meanings as in EventLog and QuarantineLog.
#ifndef HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_

#include <cstdint>
#include <memory>

#include "server/eventlog/commit_job.h"
#include "server/eventlog/event_jobs.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

std::unique_ptr<CommitJob> MakeQuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook,
                                             EventLog::QuarantineDone done);

// Appends `event` and removes the entry `id`, both or neither. NOT_FOUND if there is no such entry.
std::unique_ptr<CommitJob> MakeReleaseJob(int64_t id, std::unique_ptr<StoredEvent> event,
                                          EventLog::AppendDone done);

// Removes the entry `id`. NOT_FOUND if there is none.
std::unique_ptr<CommitJob> MakeDiscardJob(int64_t id, EventLog::QuarantineDone done);

// Why entries are removed, for whoever counts them.
enum class QuarantineLimit { kAge, kNumber };

// Removes the oldest entries whose touch is not above `touch`, at most a `step` of them. `done`
// gets how many were removed; 0: nothing is left to remove.
std::unique_ptr<CommitJob> MakeTrimQuarantineJob(int64_t touch, QuarantineLimit limit,
                                                 const TrimStep& step, CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_QUARANTINE_JOBS_H_
