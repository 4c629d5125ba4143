// The token of a connection, which may be replaced while the connection is used.
#ifndef HOOKGATE_CLIENT_TOKEN_SOURCE_H_
#define HOOKGATE_CLIENT_TOKEN_SOURCE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace hookgate {

// Whether `token` is one that a header can carry: printable ASCII, no blanks. Not empty.
bool LooksLikeToken(const std::string& token);

// The token that the file at `path` holds, without white space around it. INVALID_ARGUMENT that
// names the file if it cannot be read or holds none; no message holds what was in it.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

// Thread-safe.
class TokenSource {
 public:
  //   token  used as long as no token could be read from `file`
  //   file   "": `token` is for ever
  TokenSource(std::string token, std::string file);

  // The token for a call that begins now; "": none. Reads the file. While that cannot be read or
  // holds no token, as it may be in the moment in which it is replaced, it is the one before.
  std::string Get() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Constant after construction.
  const std::string file_;

  absl::Mutex mu_;
  std::string token_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_TOKEN_SOURCE_H_
