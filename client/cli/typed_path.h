// Paths in the words of a command line.
#ifndef HOOKGATE_CLIENT_CLI_TYPED_PATH_H_
#define HOOKGATE_CLIENT_CLI_TYPED_PATH_H_

#include <string>

#include "client/cli/environment.h"

namespace hookgate::cli {

// Under `bazel run` the current folder is one of Bazel's; people mean the one they typed the
// command in.
std::string FromWhereTyped(const std::string& path, const Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_TYPED_PATH_H_
