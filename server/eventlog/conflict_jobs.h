// What the writer thread does to conflicts that are kept. Meanings as in ConflictLog.
#ifndef HOOKGATE_SERVER_EVENTLOG_CONFLICT_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_CONFLICT_JOBS_H_

#include <cstdint>
#include <memory>

#include "server/eventlog/commit_job.h"
#include "server/eventlog/conflict_log.h"
#include "server/eventlog/event_jobs.h"

namespace hookgate {

// Removes the entry of `sequence`. NOT_FOUND if there is none.
std::unique_ptr<CommitJob> MakeDiscardConflictJob(Sequence sequence, ConflictLog::DiscardDone done);

// Removes the oldest entries whose touch is not above `touch`, at most a `step` of them. `done`
// gets how many were removed; 0: nothing is left to remove.
std::unique_ptr<CommitJob> MakeTrimConflictsJob(int64_t touch, const TrimStep& step,
                                                CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_CONFLICT_JOBS_H_
