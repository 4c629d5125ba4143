// The folder that holds a log, locked for one process. Whoever may write in the folder may replace
// the log; nobody can make this process write outside of it.
#ifndef HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_
#define HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace hookgate {

// Holds the lock while it lives. The kernel lets go of it when the process ends, however that
// happens.
class DataDirectory {
 public:
  // Makes the folder (and its parents) if it is missing, readable by its owner alone, and locks it.
  // FAILED_PRECONDITION if it cannot be made or written, another process holds it, or the lock or
  // the database in it is a symbolic link.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(const std::string& path);

  // The same for one that holds a log already; makes nothing but the lock, and no log is opened.
  // NOT_FOUND if the folder or its database is missing.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> OpenExisting(const std::string& path);

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }
  // The SQLite database in it.
  std::string database_path() const { return path_ + "/events.db"; }

 private:
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Lock(const std::string& path);

  DataDirectory(std::string path, int lock_file) : path_(std::move(path)), lock_file_(lock_file) {}

  const std::string path_;
  const int lock_file_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_
