// What the writer thread removes of what is remembered of deliveries.
#ifndef HOOKGATE_SERVER_EVENTLOG_HISTORY_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_HISTORY_JOBS_H_

#include <cstdint>
#include <memory>

#include "server/eventlog/commit_job.h"
#include "server/eventlog/event_jobs.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// As HistoryStatements::Trim and Forget. `done` gets how many rows were removed; 0: nothing is left
// to remove.
std::unique_ptr<CommitJob> MakeTrimHistoryJob(int64_t excess, Sequence head, int64_t max_rows,
                                              CountDone done);
std::unique_ptr<CommitJob> MakeForgetHistoryJob(int64_t subscription, int64_t max_rows,
                                                CountDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_HISTORY_JOBS_H_
