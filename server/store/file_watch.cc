#include "server/store/file_watch.h"

#include <sys/stat.h>

#include "absl/strings/str_cat.h"

namespace hookgate {

FileWatch::FileWatch(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    struct stat found;
    if (::stat(path.c_str(), &found) == 0) files_.push_back({path, found.st_dev, found.st_ino});
  }
}

absl::Status FileWatch::Check() const {
  for (const File& file : files_) {
    struct stat found;
    if (::stat(file.path.c_str(), &found) == 0 && found.st_dev == file.device &&
        found.st_ino == file.number) {
      continue;
    }
    return absl::FailedPreconditionError(
        absl::StrCat(file.path, " has been removed or replaced while it was in use"));
  }
  return absl::OkStatus();
}

}  // namespace hookgate
