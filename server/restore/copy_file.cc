#include "server/restore/copy_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr size_t kBytesAtOnce = 1 << 20;

absl::Status ErrnoError(const std::string& path, absl::string_view what) {
  const int error = errno;
  const std::string message = absl::StrCat(path, " cannot be ", what, ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return absl::ResourceExhaustedError(message);
  }
  if (error == ENOENT) return absl::NotFoundError(message);
  return absl::FailedPreconditionError(message);
}

absl::Status WriteAll(int file, const char* data, size_t size, const std::string& path) {
  while (size > 0) {
    const ssize_t written = ::write(file, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(path, "written");
    data += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

bool SameContent(const struct stat& before, const struct stat& after) {
  return before.st_size == after.st_size && before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == after.st_mtim.tv_nsec;
}

}  // namespace

absl::StatusOr<int64_t> CopyFile(const std::string& from, const std::string& to) {
  const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (source < 0) return ErrnoError(from, "opened");
  absl::Cleanup close_source = [source] { ::close(source); };
  const int target =
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (target < 0) return ErrnoError(to, "made");
  absl::Cleanup close_target = [target] { ::close(target); };
  struct stat before = {};
  if (::fstat(source, &before) != 0) return ErrnoError(from, "read");
  std::vector<char> buffer(kBytesAtOnce);
  int64_t copied = 0;
  while (true) {
    const ssize_t count = ::read(source, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(from, "read");
    if (count == 0) break;
    RETURN_IF_ERROR(WriteAll(target, buffer.data(), static_cast<size_t>(count), to));
    copied += count;
  }
  struct stat after = {};
  if (::fstat(source, &after) != 0) return ErrnoError(from, "read");
  if (!SameContent(before, after) || copied != after.st_size) {
    return absl::AbortedError(absl::StrCat(from, " changed while it was copied"));
  }
  if (::fsync(target) != 0) return ErrnoError(to, "synced");
  return copied;
}

absl::Status SyncFile(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return ErrnoError(path, "opened");
  const int result = ::fsync(file);
  absl::Cleanup close_file = [file] { ::close(file); };
  return result == 0 ? absl::OkStatus() : ErrnoError(path, "synced");
}

absl::Status GiveToOwnerOf(const std::string& folder, const std::string& path) {
  struct stat owner = {};
  if (::geteuid() != 0) return absl::OkStatus();
  if (::stat(folder.c_str(), &owner) != 0) return ErrnoError(folder, "read");
  if (owner.st_uid == 0) return absl::OkStatus();
  if (::lchown(path.c_str(), owner.st_uid, owner.st_gid) == 0) return absl::OkStatus();
  return ErrnoError(path, "given to the folder's owner");
}

}  // namespace hookgate
