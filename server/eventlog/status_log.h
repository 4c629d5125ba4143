// The part of the log that keeps how the gateway is beyond a restart. What is to be written is
// asked of the log's CommitCompanion (status_rows.h) with each group that is committed.
#ifndef HOOKGATE_SERVER_EVENTLOG_STATUS_LOG_H_
#define HOOKGATE_SERVER_EVENTLOG_STATUS_LOG_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/eventlog/status_rows.h"

namespace hookgate {

// Thread-safe.
class StatusLog {
 public:
  using StatusDone = absl::AnyInvocable<void(absl::Status) &&>;

  virtual ~StatusLog() = default;
  // As stored last. Values that cannot be, as of a damaged row, are taken for none.
  virtual absl::StatusOr<StoredStatus> LoadStatus() = 0;
  // Commits a group soon, empty if nothing else waits, so that the companion is asked. `done` runs
  // once, when that is durable, on the log's writer thread (or at once on the caller's, if the log
  // takes nothing); errors as EventLog::Append.
  virtual void CommitStatus(StatusDone done) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STATUS_LOG_H_
