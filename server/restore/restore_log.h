// Puts a backup in the place of a data folder's log: hookgated --restore.
#ifndef HOOKGATE_SERVER_RESTORE_RESTORE_LOG_H_
#define HOOKGATE_SERVER_RESTORE_RESTORE_LOG_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/verify/verify_event_log.h"

namespace hookgate {

struct RestoreOptions {
  std::string file;      // the backup
  std::string data_dir;  // made if it is missing
  // Also if the folder's log holds what the backup does not.
  bool force = false;
  // What is put in place is a replica of this cluster, as the backup is; "": a log of its own, if
  // `as_replica` does not say that it is one of whichever cluster the backup is of.
  std::string cluster;
  bool as_replica = false;
  absl::Time now;
  std::function<void(absl::string_view what)> progress = [](absl::string_view) {};
};

struct RestoreReport {
  std::string file;
  std::string data_dir;
  std::string former_epoch;    // the backup's
  int64_t wal_bytes = 0;       // of a write-ahead log beside the backup, which is part of it
  int64_t used_wal_bytes = 0;  // of these: up to the last commit
  VerifyReport log;            // what is in place now, with its new epoch
  std::string cluster;         // of which it is a replica; "": of none
  int64_t applied = 0;         // of a replica: the newest record of the cluster's log that it holds
  std::string replaced;        // for people: what was there before; "" if nothing was
};

// What is put in place is a copy, which has the schema of this build, passes the checks of
// VerifyEventLog, and has an epoch of its own, so that cursors and page tokens of before are
// refused by name. The copy of a replica for its cluster keeps its epoch, since it goes on with
// what the cluster has stored meanwhile. The backup itself is only read.
//   the backup  A file as sqlite3's .backup, VACUUM INTO or a copy of a stopped gateway's folder
//               leave it. What is in a write-ahead log beside it (FILE-wal) is part of it.
// The change is atomic and durable: whenever the process or the power ends, the folder has the log
// of before or the restored one, and the next start of hookgated tidies up. Nothing of the log of
// before is kept, nor is its write-ahead log.
// Errors mean that nothing was changed, unless they say that the log is replaced:
//   NOT_FOUND            there is no such backup
//   INVALID_ARGUMENT     it is not a file, a symbolic link, empty, or the folder's own log; it is
//   not
//                        of a replica of `cluster`, or of none where it has to be
//   DATA_LOSS            it is not a database, or damaged, or what is in it is not sound
//   FAILED_PRECONDITION  a hookgated is running on the folder or on the backup; the backup is of a
//                        newer schema, of another application, or was not finished; the folder's
//                        log holds what the backup does not, and `force` is false; the folder
//                        cannot be written
//   RESOURCE_EXHAUSTED   there is no room for the copy
//   ABORTED              the backup changed while it was copied
absl::StatusOr<RestoreReport> RestoreLog(const RestoreOptions& options);

// For people: what is in place, what subscribers will see, and what to do next.
std::string ReportText(const RestoreReport& report);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RESTORE_RESTORE_LOG_H_
