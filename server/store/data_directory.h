// The folder that holds a log, locked for one process. Whoever may write in the folder may replace
// the log; nobody can make this process write outside of it.
#ifndef HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_
#define HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace hookgate {

// Holds the lock while it lives: of the folder itself, and of the file `lock` in it. The kernel
// lets go of both when the process ends, however that happens.
class DataDirectory {
 public:
  // Makes the folder (and its parents) if it is missing, readable by its owner alone, and locks it.
  // FAILED_PRECONDITION if it cannot be made or written, another process holds it, or the lock or
  // the database in it is a symbolic link.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(const std::string& path);

  // The same for one that holds a log already; makes nothing but the lock, and no log is opened.
  // NOT_FOUND if the folder or its database is missing.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> OpenExisting(const std::string& path);

  // The same for a log that is only read: others may read it at the same time, and the folder need
  // not be writable. Nothing is made but the lock, where it can be; where it cannot be and there is
  // none, no hookgated can run on the folder either.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> OpenForReading(const std::string& path);

  // Puts `file`, a whole database in this folder that nobody has open, in the place of the folder's
  // own, of which nobody may have anything open either. A crash leaves the one or the other: from
  // the moment at which it is decided, who locks the folder next completes it.
  // An error says whether it was decided.
  absl::Status Replace(const std::string& file);

  // Whether this process may write the folder and what the log has in it: FAILED_PRECONDITION names
  // what it may not write. Called before the log is opened.
  absl::Status CheckWritable() const;

  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }
  // The SQLite database in it.
  std::string database_path() const { return path_ + "/events.db"; }
  // Where a database that is to replace it is put together. What an earlier attempt left there is
  // removed when the folder is locked.
  std::string draft_path() const { return path_ + "/.hookgated-draft.db"; }
  // For reading: a replacement that has been decided and not completed.
  std::string readable_database_path() const;

 private:
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Lock(const std::string& path);
  // Of a name that nobody gives a file of their own: what is there is put in the log's place.
  std::string replacement_path() const;
  absl::Status CompleteReplacement();
  void RemoveDraft();

  DataDirectory(std::string path, int lock_file) : path_(std::move(path)), lock_file_(lock_file) {}

  const std::string path_;
  const int lock_file_;     // -1: none, of a folder that can only be read
  int locked_folder_ = -1;  // -1: not, where that cannot be
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STORE_DATA_DIRECTORY_H_
