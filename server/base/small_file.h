// Reads the files that an operator names: configs, secrets, certificates, tokens.
#ifndef HOOKGATE_SERVER_BASE_SMALL_FILE_H_
#define HOOKGATE_SERVER_BASE_SMALL_FILE_H_

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate {

// The whole content of `path`. A pipe, such as a shell's <(command), is read until its writer ends.
//   patience  how long a pipe may take: one without a writer would hold up the caller for ever
// Errors begin with ShownPath(path), unless it is empty, and say what is wrong:
//   NOT_FOUND          it is not there, or cannot be read
//   INVALID_ARGUMENT   it holds more than `max_bytes`
//   CANCELLED          PatienceForAll was interrupted
//   DEADLINE_EXCEEDED  it is a pipe, and took longer than `patience`, or than PatienceForAll allows
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes,
                                          absl::Duration patience = absl::Seconds(10));

// While it lives, this thread waits for pipes only until `patience` has passed for all of them
// together, and no longer than until `is_interrupted`, which is asked every tenth of a second. A
// config names any number of files, and whoever reads it may be asked to end meanwhile. Not within
// another one.
class PatienceForAll {
 public:
  explicit PatienceForAll(
      absl::Duration patience, std::function<bool()> is_interrupted = [] { return false; });
  ~PatienceForAll();
  PatienceForAll(const PatienceForAll&) = delete;
  PatienceForAll& operator=(const PatienceForAll&) = delete;
};

// How an error calls the file: its path, unless that looks like what should be in the file. People
// put a secret where its path belongs, and errors go into logs.
std::string ShownPath(absl::string_view path);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_SMALL_FILE_H_
