#include "server/verify/event_log_file.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

namespace fs = std::filesystem;

bool HasJournal(const std::string& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path + "-journal", error);
  return !error && bytes > 0;
}

// SQLite copies a page at a time under a journal, which it removes when the copy is whole.
absl::Status CheckFinished(const std::string& path) {
  if (!HasJournal(path)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " was not finished: its journal, ", path,
                   "-journal, is still beside it. Take another backup"));
}

// Of a backup by itself. A pipe would be waited for.
absl::Status CheckPlain(const std::string& path) {
  for (const char* const suffix : {"-wal", "-journal"}) {
    std::error_code error;
    const fs::file_status status = fs::status(path + suffix, error);
    if (!fs::exists(status) || fs::is_regular_file(status)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(path, suffix, " is not a plain file, and would be read as a part of ", path));
  }
  return absl::OkStatus();
}

// Of a data folder. A start rolls it back, which writes.
absl::Status CheckNoJournal(const std::string& path) {
  if (!HasJournal(path)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path,
      "-journal is beside the log: a program was ended while it changed the file. Start "
      "hookgated on the folder, which undoes what was half done, and look again"));
}

}  // namespace

absl::StatusOr<EventLogFile> EventLogFile::Open(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  fs::path folder = path;
  if (fs::is_regular_file(status)) {
    folder = fs::absolute(path).parent_path();
    const bool is_the_folders =
        fs::path(path).filename() == "events.db" && fs::exists(folder / "lock", error);
    if (!is_the_folders) {
      RETURN_IF_ERROR(CheckPlain(path));
      RETURN_IF_ERROR(CheckFinished(path));
      return EventLogFile(nullptr, path, Database::Mode::kReadAlone);
    }
  } else if (fs::exists(status) && !fs::is_directory(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is neither a data folder nor the file of a backup"));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<DataDirectory> directory,
                   DataDirectory::OpenForReading(folder.string()));
  std::string database = directory->readable_database_path();
  RETURN_IF_ERROR(CheckNoJournal(database));
  // Nobody else has one that is still to be put in place.
  const bool writable =
      database == directory->database_path() && ::access(folder.c_str(), W_OK) == 0;
  return EventLogFile(std::move(directory), std::move(database),
                      writable ? Database::Mode::kReadOnly : Database::Mode::kReadAlone);
}

}  // namespace hookgate
