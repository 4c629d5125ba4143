// What can be asked of the log's writer thread. Each job writes within its group's transaction, and is
// answered once that has been committed or has failed.
#ifndef HOOKGATE_SERVER_EVENTLOG_LOG_JOBS_H_
#define HOOKGATE_SERVER_EVENTLOG_LOG_JOBS_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"
#include "server/store/database.h"

namespace hookgate {

// What one group changes, beside its rows. Starts as what is committed, becomes that when the group is.
struct LogState {
  LogPosition position;
  std::vector<LogEventPtr> appended;
};

// The writer's statements, prepared once. Used by the writer thread alone.
class LogStatements {
 public:
  static absl::StatusOr<std::unique_ptr<LogStatements>> Prepare(Database& database);

  Database& database;
  Statement insert_event;
  Statement find_event;
  Statement upsert_quarantined;
  Statement oldest_events;
  Statement delete_through;
  Statement set_earliest;

 private:
  explicit LogStatements(Database& database, Statement insert_event, Statement find_event,
                         Statement upsert_quarantined, Statement oldest_events,
                         Statement delete_through, Statement set_earliest);
};

class LogJob {
 public:
  virtual ~LogJob() = default;
  // Memory that the job holds while it waits.
  virtual int64_t bytes() const = 0;
  // Writer thread, within the transaction. An error fails the whole group.
  virtual absl::Status Write(LogStatements& statements, LogState& state) = 0;
  // Once: OK when what Write did is durable.
  virtual void Answer(const absl::Status& status) = 0;
};

std::unique_ptr<LogJob> MakeAppendJob(std::unique_ptr<LogEvent> event, EventLog::AppendDone done);
std::unique_ptr<LogJob> MakeQuarantineJob(std::unique_ptr<QuarantinedWebhook> webhook,
                                          EventLog::QuarantineDone done);

// Removes the oldest events, at most `max_events`, as long as they were received before `cutoff`.
// Stops at the first that was not: what is left has no hole. `done` gets how many were removed.
std::unique_ptr<LogJob> MakeTrimJob(absl::Time cutoff, int64_t max_events,
                                    absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&> done);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_LOG_JOBS_H_
