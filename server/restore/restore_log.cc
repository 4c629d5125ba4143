#include "server/restore/restore_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/eventlog/event_log_history.h"
#include "server/eventlog/replicated_tables.h"
#include "server/restore/copy_file.h"
#include "server/restore/event_log_identity.h"
#include "server/store/data_directory.h"
#include "server/store/database.h"
#include "server/store/schema.h"
#include "server/store/wal_check.h"
#include "server/verify/event_log_file.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFindingsNamed = 3;
// SQLite's smallest page. It takes less for an empty database.
constexpr uintmax_t kLeastBytes = 512;

absl::Status BadFile(const std::string& file, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(file, " ", what));
}

// What the path leads to, without opening it.
absl::Status CheckFile(const std::string& file) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(file, error);
  if (status.type() == fs::file_type::not_found) {
    return absl::NotFoundError(absl::StrCat("there is no backup ", file));
  }
  if (fs::is_symlink(status)) {
    return BadFile(file,
                   absl::StrCat("is a symbolic link, to ", fs::read_symlink(file, error).string(),
                                ": name the backup itself"));
  }
  if (fs::is_directory(status)) {
    return BadFile(file, "is a folder: name the backup in it, such as events.db");
  }
  if (!fs::is_regular_file(status)) return BadFile(file, "is not a file");
  const auto bytes = fs::file_size(file, error);
  if (!error && bytes == 0) return BadFile(file, "is empty: it is not a backup");
  if (!error && bytes < kLeastBytes) {
    return absl::DataLossError(absl::StrCat(file, " cannot be restored: it is cut off, at ", bytes,
                                            " bytes, or not a database"));
  }
  return absl::OkStatus();
}

// What stands in the place that is to be taken.
absl::Status CheckPlace(const RestoreOptions& options) {
  std::error_code error;
  const fs::file_status folder = fs::status(options.data_dir, error);
  if (fs::exists(folder) && !fs::is_directory(folder)) {
    return absl::FailedPreconditionError(absl::StrCat(options.data_dir, " is not a folder"));
  }
  const std::string database = options.data_dir + "/events.db";
  const fs::file_status status = fs::symlink_status(database, error);
  if (fs::is_symlink(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat(database,
                     " is a symbolic link, which a restore would replace by a file: restore into "
                     "the folder that it leads to, or remove it"));
  }
  if (fs::exists(status) && fs::equivalent(options.file, database, error)) {
    return BadFile(
        options.file,
        "is the event log of this data folder itself, so a restore would change nothing");
  }
  return absl::OkStatus();
}

// Nobody writes to it.
absl::StatusOr<EventLogIdentity> IdentityOf(const std::string& path, Database::Mode mode) {
  RETURN_IF_ERROR(CheckWriteAheadLog(path).status());
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database, Database::Open(path, mode));
  return ReadIdentity(*database);
}

absl::Status CheckIsOfCluster(const EventLogIdentity& backup, const RestoreOptions& options) {
  if (options.as_replica && backup.cluster.empty()) {
    return BadFile(options.file, "is not of a replica, but of an event log of its own");
  }
  if (options.cluster.empty() || options.cluster == backup.cluster) return absl::OkStatus();
  return BadFile(
      options.file,
      absl::StrCat("is not of a replica of cluster ", options.cluster, ", but of ",
                   backup.cluster.empty()
                       ? "a log of its own. To begin the cluster with it, restore it "
                         "with a config without `cluster`, and start with --found_cluster"
                       : absl::StrCat("one of cluster ", backup.cluster)));
}

// The error of something that is wrong with the backup, whichever copy of it was read.
absl::Status OfBackup(const absl::Status& status, const std::string& file) {
  return absl::Status(status.code(), absl::StrCat(file, " cannot be restored: ", status.message()));
}

// What is in the folder; "" if nothing is. An error names what would be lost.
absl::StatusOr<std::string> CheckMayReplace(const DataDirectory& directory,
                                            const EventLogIdentity& backup,
                                            const RestoreOptions& options) {
  const std::string& path = directory.database_path();
  std::error_code error;
  if (!fs::exists(path, error)) return std::string();
  const auto refuse = [&](absl::string_view what, absl::string_view lost) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.data_dir, " holds ", what, lost,
                     ". Copy the folder if you may want it back, and give --force to replace it"));
  };
  const absl::StatusOr<EventLogIdentity> there = IdentityOf(path, Database::Mode::kReadOnly);
  if (!there.ok()) {
    const std::string what =
        absl::StrCat("an events.db that cannot be read (", there.status().message(), ")");
    if (options.force) return what;
    return refuse(what, ": whether it holds what the backup does not cannot be told");
  }
  std::string what = Describe(*there);
  const bool has_the_rest =
      there->subscriptions <= backup.subscriptions && there->quarantined <= backup.quarantined;
  if (options.force || there->empty() || (backup.Continues(*there) && has_the_rest)) return what;
  if (there->epoch != backup.epoch) {
    return refuse(what, absl::StrCat(", which is not the backup's event log (epoch ", backup.epoch,
                                     ") and would be lost"));
  }
  if (there->head > backup.head) {
    return refuse(what, absl::StrCat(", which is newer than the backup, which ends at event ",
                                     backup.head, ": those after it would be lost"));
  }
  if (backup.Continues(*there)) {
    return refuse(
        what, absl::StrCat(", while the backup has ", backup.subscriptions, " subscriptions and ",
                           backup.quarantined, " in quarantine: the rest would be lost"));
  }
  return refuse(what,
                ", whose newest events differ from the backup's events of the same sequences and "
                "would be lost");
}

// Also where it is the copy of a replica.
absl::Status BecomeALogOfItsOwn(Database& database, absl::string_view epoch, absl::Time now) {
  ASSIGN_OR_RETURN(const EventLogIdentity identity, ReadIdentity(database));
  ASSIGN_OR_RETURN(Statement former,
                   database.Prepare("INSERT OR REPLACE INTO former_epochs "
                                    "(epoch, head_sequence, restore_time_us) VALUES (?, ?, ?)"));
  former.BindText(1, identity.epoch);
  former.BindInt(2, identity.head);
  former.BindInt(3, absl::ToUnixMicros(now));
  RETURN_IF_ERROR(former.Run());
  ASSIGN_OR_RETURN(Statement renew, database.Prepare("UPDATE log SET epoch = ? WHERE id = 1"));
  renew.BindText(1, epoch);
  RETURN_IF_ERROR(renew.Run());
  return database.Execute("DELETE FROM replica");
}

// What a replica knows of itself is not what this one has met.
absl::Status ForgetTheOtherReplica(Database& database) {
  for (const std::string& table : LocalTables()) {
    if (table == "replica" || table == "compatibility") continue;  // of the log
    RETURN_IF_ERROR(database.Execute(absl::StrCat("DELETE FROM ", table)));
  }
  return absl::OkStatus();
}

// The copy becomes a whole database by itself: what its write-ahead log holds is moved into it.
absl::Status Finish(const std::string& draft, absl::string_view epoch,
                    const RestoreOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Database> database,
                   Database::Open(draft, Database::Mode::kReadWrite));
  RETURN_IF_ERROR(MigrateSchema(*database, epoch));
  {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(*database, Transaction::Kind::kWrite));
    RETURN_IF_ERROR(options.cluster.empty() ? BecomeALogOfItsOwn(*database, epoch, options.now)
                                            : ForgetTheOtherReplica(*database));
    RETURN_IF_ERROR(transaction.Commit());
  }
  return database->Checkpoint(Database::CheckpointMode::kTruncate).status();
}

absl::StatusOr<VerifyReport> VerifyDraft(const std::string& draft, const RestoreOptions& options) {
  ASSIGN_OR_RETURN(VerifyReport report,
                   VerifyEventLog({.data_dir = draft, .progress = options.progress}));
  if (report.total_findings == 0) return report;
  std::string message = absl::StrCat(report.total_findings, " finding(s), such as ");
  for (size_t i = 0; i < report.findings.size() && i < kMaxFindingsNamed; ++i) {
    absl::StrAppend(&message, i > 0 ? "; " : "", report.findings[i].where, ": ",
                    report.findings[i].what);
  }
  absl::StrAppend(&message, ". \"hookgate fsck FILE\" says all of it");
  return absl::DataLossError(message);
}

// A folder that was made for a restore which then failed is not left behind.
class MadeFolder {
 public:
  explicit MadeFolder(const std::string& path) : path_(path) {
    std::error_code error;
    was_there_ = fs::exists(path, error);
  }
  ~MadeFolder() {
    if (was_there_ || keep_) return;
    ::unlink((path_ + "/lock").c_str());
    ::rmdir(path_.c_str());
  }
  void Keep() { keep_ = true; }

 private:
  const std::string path_;
  bool was_there_ = false;
  bool keep_ = false;
};

absl::Status CopyToDraft(const std::string& source, const std::string& draft,
                         RestoreReport& report) {
  const auto explain = [&](const absl::Status& status) {
    if (!absl::IsResourceExhausted(status)) return status;
    std::error_code error;
    return absl::ResourceExhaustedError(absl::StrCat(status.message(), ". The copy needs ",
                                                     fs::file_size(source, error), " bytes in ",
                                                     report.data_dir));
  };
  RETURN_IF_ERROR(explain(CopyFile(source, draft).status()));
  const absl::StatusOr<int64_t> wal = CopyFile(source + "-wal", draft + "-wal");
  if (absl::IsNotFound(wal.status())) return absl::OkStatus();
  RETURN_IF_ERROR(explain(wal.status()));
  report.wal_bytes = *wal;
  ASSIGN_OR_RETURN(report.used_wal_bytes, CheckWriteAheadLog(draft));
  return absl::OkStatus();
}

void RemoveDraft(const std::string& draft) {
  for (const char* const suffix : {"", "-wal", "-shm", "-journal"}) {
    ::unlink((draft + suffix).c_str());
  }
}

}  // namespace

absl::StatusOr<RestoreReport> RestoreLog(const RestoreOptions& wanted) {
  RestoreOptions options = wanted;
  RETURN_IF_ERROR(CheckFile(options.file));
  RETURN_IF_ERROR(CheckPlace(options));
  RestoreReport report = {.file = options.file, .data_dir = options.data_dir};
  MadeFolder made(options.data_dir);
  ASSIGN_OR_RETURN(const std::unique_ptr<DataDirectory> directory,
                   DataDirectory::Open(options.data_dir));
  // Before anything is opened in it: what is made there by root is the folder's owner's.
  RETURN_IF_ERROR(GiveToOwnerOf(options.data_dir, options.data_dir + "/lock"));
  // A data folder's log is not copied while it is being written.
  ASSIGN_OR_RETURN(const EventLogFile backup_file, EventLogFile::Open(options.file));
  const absl::StatusOr<EventLogIdentity> backup =
      IdentityOf(backup_file.path(), Database::Mode::kReadAlone);
  if (!backup.ok()) return OfBackup(backup.status(), options.file);
  RETURN_IF_ERROR(CheckIsOfCluster(*backup, options));
  if (options.as_replica) options.cluster = backup->cluster;
  report.former_epoch = backup->epoch;
  report.cluster = options.cluster;
  report.applied = backup->applied;
  ASSIGN_OR_RETURN(report.replaced, CheckMayReplace(*directory, *backup, options));

  const std::string draft = directory->draft_path();
  absl::Cleanup remove_draft = [&draft] { RemoveDraft(draft); };
  options.progress(absl::StrCat("copying ", options.file));
  RETURN_IF_ERROR(CopyToDraft(backup_file.path(), draft, report));
  const absl::Status finished = Finish(draft, NewEpoch(), options);
  if (!finished.ok()) return OfBackup(finished, options.file);
  options.progress("checking the copy");
  absl::StatusOr<VerifyReport> verified = VerifyDraft(draft, options);
  if (!verified.ok()) return OfBackup(verified.status(), options.file);
  report.log = *std::move(verified);
  RETURN_IF_ERROR(GiveToOwnerOf(options.data_dir, draft));
  RETURN_IF_ERROR(SyncFile(draft));
  made.Keep();
  RETURN_IF_ERROR(directory->Replace(draft));
  return report;
}

std::string ReportText(const RestoreReport& report) {
  std::string text = absl::StrCat("restored ", report.file, " into ", report.data_dir, "\n");
  if (report.wal_bytes > 0) {
    absl::StrAppend(&text, "with ", report.used_wal_bytes, " of the ", report.wal_bytes,
                    " bytes of ", report.file,
                    report.used_wal_bytes > 0 ? "-wal: what was committed in them is part of it\n"
                                              : "-wal: nothing in it is a commit of it\n");
  }
  if (!report.replaced.empty()) {
    absl::StrAppend(&text, "in the place of ", report.replaced, "\n");
  }
  absl::StrAppend(&text, "\n", ReportText(report.log), "\n");
  if (!report.cluster.empty()) {
    absl::StrAppend(&text, "It is a replica of cluster ", report.cluster, ", up to record ",
                    report.applied,
                    " of the cluster's log.\n"
                    "What to do:\n"
                    "  Start hookgated: it applies what the cluster has stored since then, and is "
                    "ready after\n"
                    "  that. Cursors and page tokens hold as before.\n");
    return text;
  }
  absl::StrAppend(
      &text,
      "What subscribers will see once hookgated runs on it:\n"
      "  The log has the new epoch ",
      report.log.epoch, " in the place of ", report.former_epoch,
      ".\n"
      "  Cursors from before are refused with CURSOR_OF_ANOTHER_HISTORY, and page tokens as well.\n"
      "  The refusal names earliest_cursor, from which all that this log holds is sent, and\n"
      "  common_cursor, if it is known up to where the subscriber's log and this one are the "
      "same.\n"
      "  Durable subscriptions continue from the position in the backup: what was settled\n"
      "  since then is delivered again. Delivery ids given out since then are UNKNOWN.\n"
      "What to do:\n"
      "  Start hookgated. Have senders send again what they sent since the backup was taken: it "
      "is\n"
      "  not in this log.\n");
  return text;
}

}  // namespace hookgate
