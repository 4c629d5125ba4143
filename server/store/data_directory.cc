#include "server/store/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr absl::string_view kDatabase = "events.db";
// SQLite takes whatever lies beside a database for a part of it.
constexpr const char* kFiles[] = {"lock", "events.db", "events.db-wal", "events.db-shm",
                                  "events.db-journal"};

// A power cut must not take the folder's name away, whatever is synced in it. Parents that were
// there before have nothing to write; those that may not be opened are not ours.
void SyncNames(const std::string& path) {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(path, error);
  while (!error && folder.has_relative_path()) {
    folder = folder.parent_path();
    const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) continue;
    ::fsync(file);
    ::close(file);
  }
}

bool Exists(const std::string& path) {
  struct stat found = {};
  return ::lstat(path.c_str(), &found) == 0;
}

absl::Status ErrnoError(absl::string_view what, const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " cannot be ", what, ": ", std::strerror(errno)));
}

absl::Status RemoveIfThere(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoError("removed", path);
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoError(absl::StrCat("renamed to ", to), from);
}

// What was renamed or removed in a folder stays so after a power cut.
absl::Status SyncFolder(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return ErrnoError("opened", path);
  const int result = ::fsync(file);
  ::close(file);
  return result == 0 ? absl::OkStatus() : ErrnoError("synced", path);
}

// Opens the file `lock`, made if it is missing; -1 with errno. What root makes in another user's
// folder becomes that user's: the gateway has to open it. One that is there is left as it is.
int OpenLockFile(const std::string& folder, const std::string& path) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  const int made = ::open(path.c_str(), kFlags | O_EXCL, S_IRUSR | S_IWUSR);
  if (made < 0) return ::open(path.c_str(), kFlags, S_IRUSR | S_IWUSR);
  struct stat owner = {};
  if (::geteuid() == 0 && ::stat(folder.c_str(), &owner) == 0 && owner.st_uid != 0) {
    // Where that fails, whoever needs it says so.
    if (::fchown(made, owner.st_uid, owner.st_gid) != 0) return made;
  }
  return made;
}

absl::Status InUse(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat("the data folder ", path,
                   " is in use by another hookgated: stop that one, or use another folder"));
}

// The folder itself, beside the file `lock` in it: somebody may take that for left over, and remove
// it, while the log is open. -1 where folders cannot be locked; then that file alone counts.
//   how  LOCK_EX or LOCK_SH
absl::StatusOr<int> LockFolder(const std::string& path, int how) {
  const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || ::flock(folder, how | LOCK_NB) == 0) return folder;
  const bool is_locked = errno == EWOULDBLOCK;
  ::close(folder);
  if (is_locked) return InUse(path);
  return -1;
}

absl::Status NoLogIn(const std::string& path) {
  if (!Exists(path)) return absl::NotFoundError(absl::StrCat("there is no file or folder ", path));
  return absl::NotFoundError(absl::StrCat("there is no log in ", path, ": it has no events.db"));
}

absl::Status CannotTell(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path, " cannot be opened (", std::strerror(errno),
                   "), so whether a hookgated is running on the folder cannot be told: run this "
                   "as the user that hookgated runs as"));
}

std::string ReplacementIn(const std::string& path) { return path + "/.hookgated-replacement.db"; }

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_symlink(path, error) && !std::filesystem::exists(path, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data folder ", path, " is a symbolic link to ",
                     std::filesystem::read_symlink(path, error).string(), ", which is not there"));
  }
  const bool made = std::filesystem::create_directories(path, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data folder ", path, " cannot be made: ", error.message()));
  }
  // Bodies of webhooks are nobody else's business. A folder that was there keeps its owner's
  // choice.
  if (!made) return absl::OkStatus();
  ::chmod(path.c_str(), S_IRWXU);
  SyncNames(path);
  return absl::OkStatus();
}

// SQLite would follow a link, to whatever whoever can write in the folder has chosen.
absl::Status CheckNoLinks(const std::string& path) {
  for (const char* name : kFiles) {
    const std::string file = absl::StrCat(path, "/", name);
    struct stat found = {};
    if (::lstat(file.c_str(), &found) != 0 || S_ISREG(found.st_mode)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(file, " is ", S_ISLNK(found.st_mode) ? "a symbolic link" : "not a plain file",
                     ", through which others could have files changed elsewhere: move the file "
                     "itself here, or name the folder where it is"));
  }
  return absl::OkStatus();
}

// A link may lead a reader to events.db, but nothing leads it to a pipe, which it would wait for,
// or to a folder.
absl::Status CheckPlainFiles(const std::string& path) {
  for (const char* name : kFiles) {
    const std::string file = absl::StrCat(path, "/", name);
    struct stat found = {};
    if (::lstat(file.c_str(), &found) == 0 && S_ISLNK(found.st_mode) && name != kDatabase) {
      return absl::FailedPreconditionError(
          absl::StrCat(file, " is a symbolic link, which is not followed: move the file here"));
    }
    if (::stat(file.c_str(), &found) != 0 || S_ISREG(found.st_mode)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(file, " is not a plain file, so this is not the folder of a log"));
  }
  return absl::OkStatus();
}

absl::Status NotWritable(const std::string& path, int error) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, " cannot be written: ", std::strerror(error), "; the user that runs hookgated, id ",
      ::geteuid(), ", has to be able to read and write it"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(const std::string& path) {
  RETURN_IF_ERROR(MakeFolder(path));
  return Lock(path);
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::OpenExisting(
    const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path + "/events.db", error)) {
    return NoLogIn(path);
  }
  return Lock(path);
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::OpenForReading(
    const std::string& path) {
  if (::access(path.c_str(), X_OK) != 0 && errno == EACCES) return CannotTell(path);
  RETURN_IF_ERROR(CheckPlainFiles(path));
  // Before anything is made: a folder that is none of a log is left as it is.
  if (!Exists(path + "/events.db") && !Exists(ReplacementIn(path))) return NoLogIn(path);
  const std::string lock_path = path + "/lock";
  int file = ::open(lock_path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0 && errno == ENOENT) {
    file = OpenLockFile(path, lock_path);
    if (file < 0 && errno != EROFS && errno != EACCES && errno != EPERM) {
      return ErrnoError("made", lock_path);
    }
  } else if (file < 0) {
    return CannotTell(lock_path);
  }
  auto directory = absl::WrapUnique(new DataDirectory(path, file));
  if (file >= 0 && ::flock(file, LOCK_SH | LOCK_NB) != 0) return InUse(path);
  ASSIGN_OR_RETURN(directory->locked_folder_, LockFolder(path, LOCK_SH));
  return directory;
}

std::string DataDirectory::replacement_path() const { return ReplacementIn(path_); }

std::string DataDirectory::readable_database_path() const {
  return Exists(replacement_path()) ? replacement_path() : database_path();
}

// The rename decides. Nothing of the log before is touched until then; and what is left of it after
// would make one log of two.
absl::Status DataDirectory::Replace(const std::string& file) {
  RETURN_IF_ERROR(Rename(file, replacement_path()));
  RETURN_IF_ERROR(SyncFolder(path_));
  return Annotate(CompleteReplacement(),
                  "the log is replaced, and the next start of hookgated completes it");
}

absl::Status DataDirectory::CompleteReplacement() {
  if (!Exists(replacement_path())) return absl::OkStatus();
  // SQLite takes whatever lies beside a database for a part of it.
  for (const char* const suffix : {"-wal", "-shm", "-journal"}) {
    RETURN_IF_ERROR(RemoveIfThere(database_path() + suffix));
  }
  RETURN_IF_ERROR(SyncFolder(path_));
  RETURN_IF_ERROR(Rename(replacement_path(), database_path()));
  return SyncFolder(path_);
}

void DataDirectory::RemoveDraft() {
  for (const char* const suffix : {"", "-wal", "-shm", "-journal"}) {
    RemoveIfThere(draft_path() + suffix).IgnoreError();
  }
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Lock(const std::string& path) {
  RETURN_IF_ERROR(CheckNoLinks(path));
  const std::string lock_path = path + "/lock";
  const int file = OpenLockFile(path, lock_path);
  if (file < 0) {
    return NotWritable(Exists(lock_path) ? lock_path : path, errno);
  }
  auto directory = absl::WrapUnique(new DataDirectory(path, file));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) return InUse(path);
  ASSIGN_OR_RETURN(directory->locked_folder_, LockFolder(path, LOCK_EX));
  directory->RemoveDraft();
  RETURN_IF_ERROR(Annotate(directory->CompleteReplacement(), "completing a restore"));
  return directory;
}

DataDirectory::~DataDirectory() {
  if (locked_folder_ >= 0) ::close(locked_folder_);
  if (lock_file_ >= 0) ::close(lock_file_);
}

absl::Status DataDirectory::CheckWritable() const {
  if (::faccessat(AT_FDCWD, path_.c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
    return NotWritable(path_, errno);
  }
  // Opened, and not only asked for: a mount or an attribute may forbid it, too.
  for (const char* const suffix : {"", "-wal", "-shm"}) {
    const std::string path = database_path() + suffix;
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (file >= 0) {
      ::close(file);
    } else if (errno != ENOENT) {
      return NotWritable(path, errno);
    }
  }
  return absl::OkStatus();
}

}  // namespace hookgate
