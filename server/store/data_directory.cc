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

absl::Status MakeFolder(const std::string& path) {
  std::error_code error;
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
  for (const char* name : {"lock", "events.db", "events.db-wal", "events.db-shm"}) {
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

}  // namespace

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Open(const std::string& path) {
  RETURN_IF_ERROR(MakeFolder(path));
  return Lock(path);
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::OpenExisting(
    const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path + "/events.db", error)) {
    return absl::NotFoundError(absl::StrCat("there is no log in ", path, ": it has no events.db"));
  }
  return Lock(path);
}

absl::StatusOr<std::unique_ptr<DataDirectory>> DataDirectory::Lock(const std::string& path) {
  RETURN_IF_ERROR(CheckNoLinks(path));
  const std::string lock_path = path + "/lock";
  const int file = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                          S_IRUSR | S_IWUSR);
  if (file < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data folder ", path, " cannot be written: ", std::strerror(errno)));
  }
  auto directory = absl::WrapUnique(new DataDirectory(path, file));
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data folder ", path,
                     " is in use by another hookgated: stop that one, or use another folder"));
  }
  return directory;
}

DataDirectory::~DataDirectory() { ::close(lock_file_); }

}  // namespace hookgate
