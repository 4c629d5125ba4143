// The jobs by which the writer thread stores the event log's age.
#ifndef HOOKGATE_SERVER_EVENTLOG_AGE_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_AGE_JOBS_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/eventlog/commit_job.h"
#include "server/eventlog/event_ages.h"

namespace hookgate {

std::unique_ptr<CommitJob> MakeStoreAgesJob(const AgeChanges& changes,
                                            absl::AnyInvocable<void(absl::Status) &&> done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_AGE_JOBS_H_
