// What the writer does for a replica besides what it does for any log: it applies what others have
// decided, and stores first what a new leader needs.
#ifndef HOOKGATE_SERVER_EVENTLOG_REPLICA_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_REPLICA_JOBS_H_

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "server/eventlog/commit_job.h"
#include "server/eventlog/event_log_history.h"
#include "server/replication/record.pb.h"
#include "server/replication/record_tail.h"

namespace hookgate {

using ReplicaDone = absl::AnyInvocable<void(absl::Status) &&>;
// Takes what the log's history is from a commit on. Called before anybody hears of that commit.
using SetHistory = absl::AnyInvocable<void(EventLogHistory history) &&>;

// Applies `records`, which follow each other and what was applied before, in one transaction.
//   tail         of the last of them
//   history      the log's now
//   set_history  called if they change it
// `done` is called with the errors of RowEffects::Apply, DATA_LOSS record_contradicts if the
// sequences of events do not follow, and those of any commit.
std::unique_ptr<CommitJob> MakeApplyJob(
    std::vector<std::shared_ptr<const hookgate::replication::v1::Record>> records,
    const RecordTail& tail, const EventLogHistory& history, SetHistory set_history,
    ReplicaDone done);

// What a leader stores before all else: from now on it numbers deliveries with its `mark`, and
// sequences once there is one.
std::unique_ptr<CommitJob> MakeTakeOverJob(HistoryMark mark, const EventLogHistory& history,
                                           SetHistory set_history, ReplicaDone done);

// Has the cluster agree on schema `version`, if it has not yet.
std::unique_ptr<CommitJob> MakeAgreeJob(int version, ReplicaDone done);

// The same within a group that is being written, by whichever job: for the record and the database.
// FAILED_PRECONDITION record_unknown if this hookgated does not know the version.
absl::Status AgreeOnSchema(int version, CommitStatements& statements, CommitState& state);

// Has a record appended that changes nothing, so that others see that the leader lives.
std::unique_ptr<CommitJob> MakeShowLifeJob(ReplicaDone done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_REPLICA_JOBS_H_
