// Copies a file that must not change meanwhile.
#ifndef HOOKGATE_SERVER_RESTORE_COPY_FILE_H_
#define HOOKGATE_SERVER_RESTORE_COPY_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace hookgate {

// Copies `from`, which is not a symbolic link, to the new file `to`, readable by its owner alone,
// and syncs that. Returns its bytes.
// NOT_FOUND; FAILED_PRECONDITION if one of them cannot be opened, read or written;
// RESOURCE_EXHAUSTED if the disk or a quota is full; ABORTED if `from` changed.
absl::StatusOr<int64_t> CopyFile(const std::string& from, const std::string& to);

// Syncs a file that somebody else has written.
absl::Status SyncFile(const std::string& path);

// To the owner of `folder`, if this process is root and `folder` is another user's: the gateway
// that runs as that user could not open it otherwise.
absl::Status GiveToOwnerOf(const std::string& folder, const std::string& path);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RESTORE_COPY_FILE_H_
