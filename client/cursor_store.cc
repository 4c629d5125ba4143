#include "client/cursor_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// No gateway's cursor comes near; a file that is larger holds something else.
constexpr size_t kMaxCursorSize = 4096;

absl::Status SystemError(absl::string_view what, absl::string_view path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(what, " ", path));
}

bool LooksLikeCursor(absl::string_view text) {
  if (text.empty() || text.size() > kMaxCursorSize) return false;
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// At most one byte more than a file with a cursor can have.
absl::StatusOr<std::string> ReadStart(int file, absl::string_view path) {
  std::string content(kMaxCursorSize + 2, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t count = ::read(file, &content[size], content.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError("cannot read the cursor file", path);
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  content.resize(size);
  return content;
}

absl::Status WriteAll(int file, absl::string_view content, absl::string_view path) {
  while (!content.empty()) {
    const ssize_t count = ::write(file, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError("cannot write", path);
    content.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

// The file that `path` leads to, over any number of symbolic links, whether it is there yet or not.
absl::StatusOr<std::string> Resolve(std::string path) {
  constexpr int kMostLinks = 40;  // As the kernel.
  for (int i = 0; i < kMostLinks; ++i) {
    char buffer[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), buffer, sizeof(buffer));
    if (size < 0 && (errno == EINVAL || errno == ENOENT)) return path;  // Not a link, or nothing.
    if (size < 0) return SystemError("cannot read the link", path);
    const absl::string_view target(buffer, static_cast<size_t>(size));
    // A relative one begins in the folder of its link.
    const size_t folder = absl::StartsWith(target, "/") ? 0 : path.rfind('/') + 1;
    path = absl::StrCat(path.substr(0, folder), target);
  }
  errno = ELOOP;
  return SystemError("cannot follow the links of the cursor file", path);
}

absl::Status WriteSynced(const std::string& path, absl::string_view content) {
  const int file =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file < 0) return SystemError("cannot create", path);
  absl::Cleanup close_file = [file] { ::close(file); };
  RETURN_IF_ERROR(WriteAll(file, content, path));
  if (::fsync(file) != 0) return SystemError("cannot sync", path);
  return absl::OkStatus();
}

// A renamed file is sure to be found after a crash only when its folder has been synced.
absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return SystemError("cannot open the folder", folder);
  absl::Cleanup close_file = [file] { ::close(file); };
  if (::fsync(file) != 0) return SystemError("cannot sync the folder", folder);
  return absl::OkStatus();
}

}  // namespace

FileCursorStore::FileCursorStore(absl::string_view path) : path_(path) {}

absl::StatusOr<std::optional<std::string>> FileCursorStore::Load() {
  // A pipe would be waited for.
  const int file = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0 && errno == ENOENT) return std::nullopt;
  if (file < 0) return SystemError("cannot open the cursor file", path_);
  absl::Cleanup close_file = [file] { ::close(file); };
  struct stat found = {};
  if (::fstat(file, &found) == 0 && !S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cursor file ", path_,
                     " is not a plain file, which could be replaced by "
                     "one with the next cursor"));
  }

  ASSIGN_OR_RETURN(std::string content, ReadStart(file, path_));
  // The line feed is the proof that the file was not cut off.
  const bool whole = !content.empty() && content.back() == '\n';
  if (whole) content.pop_back();
  if (!whole || !LooksLikeCursor(content)) {
    return absl::DataLossError(absl::StrCat(
        "the cursor file ", path_, content.empty() ? " is empty" : " is damaged",
        ": it must hold one cursor and a line feed. Restore it, or move it away to start again at "
        "the price of missing or repeating events"));
  }
  return content;
}

absl::Status FileCursorStore::Save(absl::string_view cursor) {
  if (!LooksLikeCursor(cursor)) {
    return absl::InvalidArgumentError(absl::StrCat("not a cursor to save in ", path_));
  }
  // Renaming over a link would leave the file that it leads to, which is the one that is kept, as
  // it was.
  ASSIGN_OR_RETURN(const std::string path, Resolve(path_));
  const std::string temporary = path + ".tmp";
  RETURN_IF_ERROR(WriteSynced(temporary, absl::StrCat(cursor, "\n")));
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    return SystemError("cannot replace the cursor file", path);
  }
  return SyncFolderOf(path);
}

}  // namespace hookgate
