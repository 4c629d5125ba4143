// Which Hookgate this is: what `hookgated --version`, `hookgate --version`, the first line of the
// server's log and GetStatus say.
#ifndef HOOKGATE_VERSION_VERSION_H_
#define HOOKGATE_VERSION_VERSION_H_

#include "absl/strings/string_view.h"

namespace hookgate {

// The VERSION of bazel/version.bzl, such as "0.2.0"; "0.2.0-dev" on the way there. In a binary that
// was built with --config=release and --embed_label=COMMIT, that stands behind it: "0.2.0+1a2b3c4".
// Lives for ever. Thread-safe.
absl::string_view Version();

}  // namespace hookgate

#endif  // HOOKGATE_VERSION_VERSION_H_
