#include "server/restore/snapshot_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/restore/copy_file.h"
#include "server/restore/event_log_identity.h"
#include "server/store/database.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;

absl::Status AlreadyThere(const std::string& file, absl::string_view what) {
  return absl::AlreadyExistsError(absl::StrCat(file, what));
}

absl::Status CannotMake(const std::string& file) {
  const int error = errno;
  const std::string message = absl::StrCat(file, " cannot be made: ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::FailedPreconditionError(message);
}

// An empty file that only its owner may read, which SQLite then fills.
absl::Status MakeEmpty(const std::string& file) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    close(fd);
    return absl::OkStatus();
  }
  if (errno == EEXIST) {
    return AlreadyThere(file,
                        " is there already: another snapshot is being made, or one did not come to "
                        "its end; remove it in that case");
  }
  return CannotMake(file);
}

void Remove(const std::string& file) {
  for (const char* const suffix : {"", "-journal", "-wal", "-shm"}) {
    ::unlink((file + suffix).c_str());
  }
}

absl::StatusOr<EventLogIdentity> ReadIdentityOf(const std::string& path, Database::Mode mode) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::Open(path, mode));
  return ReadIdentity(*database);
}

// The folder may be the wrong one, or the right one with a log that is not as it should be.
absl::Status CannotRead(const absl::Status& error, const SnapshotOptions& options) {
  const bool is_damaged = absl::IsDataLoss(error);
  return absl::Status(
      error.code(),
      absl::StrCat(options.data_dir, "/events.db cannot be copied: ", error.message(),
                   ". DATA_DIR has to be the data folder of a replica, its storage.data_dir",
                   is_damaged ? ". If it is, its log is damaged: hookgate fsck says where, and the "
                                "copy of another replica mends it"
                              : ", and readable for you"));
}

}  // namespace

absl::StatusOr<SnapshotReport> SnapshotLog(const SnapshotOptions& options) {
  const std::string source = options.data_dir + "/events.db";
  std::error_code error;
  if (!fs::is_regular_file(source, error)) {
    return absl::NotFoundError(
        absl::StrCat("there is no event log in ", options.data_dir,
                     ": name the data folder of a replica, its storage.data_dir"));
  }
  if (fs::exists(fs::symlink_status(options.file, error))) {
    return AlreadyThere(options.file, " is there already: name a file that is not");
  }
  // SQLite takes names that begin with "file:" for something else.
  const std::string file = fs::absolute(options.file, error).string();
  if (error)
    return absl::FailedPreconditionError(absl::StrCat(options.file, ": ", error.message()));
  const std::string partial = file + ".partial";
  const absl::StatusOr<std::unique_ptr<Database>> database =
      Database::Open(source, Database::Mode::kReadOnly);
  if (!database.ok()) return CannotRead(database.status(), options);
  const absl::StatusOr<EventLogIdentity> before = ReadIdentity(**database);
  if (!before.ok()) return CannotRead(before.status(), options);
  if (before->cluster.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.data_dir,
                     " holds an event log of its own, and not a replica's: a backup of it is "
                     "made as docs/operations.md says"));
  }
  RETURN_IF_ERROR(MakeEmpty(partial));
  absl::Cleanup remove = [&partial] { Remove(partial); };
  options.progress(absl::StrCat("copying ", source));
  {
    ASSIGN_OR_RETURN(Statement copy, (*database)->Prepare("VACUUM INTO ?1"));
    copy.BindText(1, partial);
    const absl::Status copied = copy.Run();
    if (!copied.ok()) {
      return absl::Status(copied.code(), absl::StrCat(source, " cannot be copied to ", file, ": ",
                                                      copied.message()));
    }
  }
  ASSIGN_OR_RETURN(const EventLogIdentity copy,
                   ReadIdentityOf(partial, Database::Mode::kReadAlone));
  RETURN_IF_ERROR(SyncFile(partial));
  SnapshotReport report = {.file = options.file,
                           .bytes = static_cast<int64_t>(fs::file_size(partial, error)),
                           .cluster = copy.cluster,
                           .epoch = copy.epoch,
                           .head = copy.head,
                           .applied = copy.applied};
  if (renameat2(AT_FDCWD, partial.c_str(), AT_FDCWD, file.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) return AlreadyThere(options.file, " was made by somebody else meanwhile");
    // Not every file system can do it without replacing. It was not there a moment ago.
    if (errno != EINVAL || rename(partial.c_str(), file.c_str()) != 0) return CannotMake(file);
  }
  std::move(remove).Cancel();
  RETURN_IF_ERROR(SyncFile(fs::canonical(fs::path(file).parent_path(), error).string()));
  return report;
}

std::string ReportText(const SnapshotReport& report) {
  return absl::StrCat("copied to ", report.file, " (", report.bytes, " bytes)\n",
                      "a replica of cluster ", report.cluster, ", epoch ", report.epoch,
                      ": events up to ", report.head, ", up to record ", report.applied,
                      " of the cluster's log\n\n"
                      "Bring it to the machine of the replica that needs it, over an encrypted "
                      "way: it holds the\n"
                      "bodies of webhooks. There, with its hookgated stopped:\n"
                      "  hookgate cluster reseed FILE DATA_DIR\n"
                      "It is of use for as long as the cluster's log holds the records that come "
                      "after it\n(cluster.log_retention).\n");
}

}  // namespace hookgate
