#include "server/config/file_permissions.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace hookgate {
namespace {

// What others may do with a file of this mode that they must not; "": nothing.
std::string WhatOthersMay(const struct stat& found, FileUse use) {
  const mode_t mode = found.st_mode;
  if ((mode & S_IWOTH) != 0) return "every user of this machine may change it";
  if ((mode & S_IWGRP) != 0) return "its group may change it";
  if (use == FileUse::kTrust) return "";
  if ((mode & S_IROTH) != 0 || (use == FileUse::kFolder && (mode & S_IXOTH) != 0)) {
    return use == FileUse::kFolder ? "every user of this machine may list it"
                                   : "every user of this machine may read it";
  }
  const bool own = found.st_uid == geteuid();
  if (use == FileUse::kSecret && own && (mode & S_IRGRP) != 0) return "its group may read it";
  return "";
}

const char* ModeFor(FileUse use) {
  switch (use) {
    case FileUse::kSecret:
      return "600";
    case FileUse::kTrust:
      return "go-w";
    case FileUse::kFolder:
      break;
  }
  return "700";
}

}  // namespace

void CheckPermissions(const std::string& path, FileUse use, const std::string& key,
                      Problems& problems) {
  struct stat found = {};
  if (path.empty() || stat(path.c_str(), &found) != 0 || S_ISCHR(found.st_mode)) return;
  const std::string what = WhatOthersMay(found, use);
  if (what.empty()) return;
  problems.AddWarning(key, absl::StrFormat("%s has the mode %04o: %s; chmod %s %s", path,
                                           found.st_mode & 07777, what, ModeFor(use), path));
}

void CheckDataFolderPermissions(const std::string& path, Problems& problems) {
  const std::string key = "storage.data_dir";
  CheckPermissions(path, FileUse::kFolder, key, problems);
  for (const char* file : {"events.db", "events.db-wal", "events.db-shm"}) {
    CheckPermissions(absl::StrCat(path, "/", file), FileUse::kSecret, key, problems);
  }
}

}  // namespace hookgate
