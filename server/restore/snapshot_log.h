// A copy of a replica's log that another replica can begin with: hookgate cluster snapshot.
#ifndef HOOKGATE_SERVER_RESTORE_SNAPSHOT_LOG_H_
#define HOOKGATE_SERVER_RESTORE_SNAPSHOT_LOG_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace hookgate {

struct SnapshotOptions {
  std::string data_dir;  // the replica's; its hookgated may run
  std::string file;      // the copy, which must not be there yet
  std::function<void(absl::string_view what)> progress = [](absl::string_view) {};
};

struct SnapshotReport {
  std::string file;
  int64_t bytes = 0;
  std::string cluster;
  std::string epoch;
  int64_t head = 0;     // the newest event that it holds
  int64_t applied = 0;  // the newest record of the cluster's log that it holds
};

// Copies the log as it is at one moment. The gateway goes on meanwhile; its write-ahead log grows
// by what is stored until the copy is done. The copy is readable by its owner alone, durable once
// this returns, and not there after an error; while it is being made it is `file`.partial. Errors:
//   NOT_FOUND            there is no log in the folder
//   INVALID_ARGUMENT     the log is not a replica's
//   ALREADY_EXISTS       `file` is there, or `file`.partial, of an earlier attempt that was ended
//   FAILED_PRECONDITION  the log is of a newer schema, or the copy cannot be made there
//   DATA_LOSS            the log is damaged, or not a database
//   RESOURCE_EXHAUSTED   there is no room for the copy
absl::StatusOr<SnapshotReport> SnapshotLog(const SnapshotOptions& options);

// For people: what was copied, and what it is good for.
std::string ReportText(const SnapshotReport& report);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RESTORE_SNAPSHOT_LOG_H_
