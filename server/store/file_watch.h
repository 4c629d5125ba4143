// Notices that files which this process holds open have been removed or replaced: what is written
// to them from then on is gone with the process.
#ifndef HOOKGATE_SERVER_STORE_FILE_WATCH_H_
#define HOOKGATE_SERVER_STORE_FILE_WATCH_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace hookgate {

// Not thread-safe.
class FileWatch {
 public:
  // Watches nothing.
  FileWatch() = default;
  // Watches those of `paths` that are there now.
  explicit FileWatch(const std::vector<std::string>& paths);

  // FAILED_PRECONDITION names a file that its path no longer leads to. Costs a stat of each.
  absl::Status Check() const;

 private:
  struct File {
    std::string path;
    dev_t device;
    ino_t number;
  };
  std::vector<File> files_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_FILE_WATCH_H_
