// Who else on the machine may read or change a file.
#ifndef HOOKGATE_SERVER_CONFIG_FILE_PERMISSIONS_H_
#define HOOKGATE_SERVER_CONFIG_FILE_PERMISSIONS_H_

#include <string>

#include "server/config/problems.h"

namespace hookgate {

enum class FileUse {
  kSecret,  // others must neither read nor change it: secrets, keys, the log
  kTrust,   // others must not change it: certificates, whom to trust, the config
  kFolder,  // others must neither change what is in it nor look at it: the data folder
};

// Warns, under `key`, if others may do with the file at `path` what its use forbids, and says which
// chmod mends it. "Others" are every user, and the file's group if it may change the file; a group
// that may only read counts if this process owns the file, since it needs no group to read it
// then. A link stands for what it points to. Silent if there is nothing at `path`.
void CheckPermissions(const std::string& path, FileUse use, const std::string& key,
                      Problems& problems);

// The same for a data folder and what a log has in it.
void CheckDataFolderPermissions(const std::string& path, Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_FILE_PERMISSIONS_H_
