// A log as a file that nobody writes to while it is read: that of a data folder, or a backup.
#ifndef HOOKGATE_SERVER_VERIFY_EVENT_LOG_FILE_H_
#define HOOKGATE_SERVER_VERIFY_EVENT_LOG_FILE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/data_directory.h"
#include "server/store/database.h"

namespace hookgate {

// Holds the lock of the folder, if it is a data folder's, while it lives.
class EventLogFile {
 public:
  // `path`: a data folder; the events.db in one, which is the same; or any other file.
  // NOT_FOUND if there is none; FAILED_PRECONDITION if a hookgated is running on it, if it cannot
  // be opened, or if it is a backup that was not finished.
  static absl::StatusOr<EventLogFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  // How to open it: without a trace, unless it is in a folder that can be written. There SQLite's
  // own locks are taken, because people may have the file open in its shell.
  Database::Mode mode() const { return mode_; }

 private:
  EventLogFile(std::unique_ptr<DataDirectory> directory, std::string path, Database::Mode mode)
      : directory_(std::move(directory)), path_(std::move(path)), mode_(mode) {}

  std::unique_ptr<DataDirectory> directory_;  // null: a file by itself
  std::string path_;
  Database::Mode mode_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_VERIFY_EVENT_LOG_FILE_H_
