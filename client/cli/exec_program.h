// Runs the user's program for one event: `sh -c COMMAND`.
#ifndef HOOKGATE_CLIENT_CLI_EXEC_PROGRAM_H_
#define HOOKGATE_CLIENT_CLI_EXEC_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hookgate::cli {

struct ProgramInput {
  std::string in;                        // Its standard input.
  std::vector<std::string> environment;  // NAME=VALUE, beside this process's own.
  absl::Duration timeout = absl::InfiniteDuration();
};

struct ProgramResult {
  bool succeeded = false;  // Exit code 0.
  // Why not: the last line of its stderr that is not blank, at most 1 KiB; or how it ended.
  std::string reason;
  // The first MiB of each; what is beyond was read and dropped.
  std::string out;
  std::string err;
};

// Waits for its end, and for whoever holds its stdout and stderr. It has a process group of its
// own, so that Ctrl-C does not reach it; at `timeout` the whole group is killed. A program that
// does not read its input is none the worse. Thread-safe.
ProgramResult RunShell(const std::string& command, const ProgramInput& input);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_EXEC_PROGRAM_H_
