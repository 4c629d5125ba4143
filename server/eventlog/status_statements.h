// The writer's statements for the status, prepared once.
#ifndef HOOKGATE_SERVER_EVENTLOG_STATUS_STATEMENTS_H_
#define HOOKGATE_SERVER_EVENTLOG_STATUS_STATEMENTS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/eventlog/status_rows.h"
#include "server/store/database.h"

namespace hookgate {

// Used by the writer thread alone.
class StatusStatements {
 public:
  static absl::StatusOr<StatusStatements> Prepare(Database& database);

  // Within a transaction.
  absl::Status Write(const StatusChanges& changes);

 private:
  StatusStatements(Statement set_head, Statement set_counter, Statement set_source,
                   Statement set_secret, Statement delete_source, Statement delete_secret);

  absl::Status SetHead(const StatusHead& head);
  absl::Status SetSource(const std::string& name, const SourceStatus& status);
  absl::Status SetSecret(const SecretId& id, const SecretStatus& status);

  Statement set_head_;
  Statement set_counter_;
  Statement set_source_;
  Statement set_secret_;
  Statement delete_source_;
  Statement delete_secret_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_STATUS_STATEMENTS_H_
