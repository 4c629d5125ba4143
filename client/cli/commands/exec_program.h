// Runs the user's program for one event: `sh -u -c COMMAND`.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_PROGRAM_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_PROGRAM_H_

#include <atomic>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace hookgate::cli {

struct ProgramInput {
  std::string in;                        // Its standard input, a pipe.
  std::vector<std::string> environment;  // NAME=VALUE, in place of this process's own of that name.
  std::vector<std::string> withheld;     // Names of variables that it does not get.
  absl::Duration timeout = absl::InfiniteDuration();
  // Between SIGTERM and SIGKILL, for a program that is ended.
  absl::Duration kill_grace = absl::Seconds(5);
};

struct ProgramResult {
  enum class End {
    kSucceeded,   // Exit status 0.
    kFailed,      // Another one, or a signal that was not sent from here.
    kTimedOut,    // It was ended, because its time was up.
    kStopped,     // It was ended, because ProgramStop asked for it.
    kNotStarted,  // No process, or no shell; or exit status 126 or 127, by which a shell says that
                  // the program is not there, is not executable, or lacks its interpreter.
  };
  End end = End::kNotStarted;
  // Unless it succeeded: the last line of its stderr that is not blank, at most 1 KiB; or how it
  // ended.
  std::string reason;
  // The first MiB of each; what is beyond was read and dropped.
  std::string out;
  std::string err;

  bool succeeded() const { return end == End::kSucceeded; }
};

// Ends one program from another thread. Thread-safe.
class ProgramStop {
 public:
  ProgramStop();
  ~ProgramStop();
  ProgramStop(const ProgramStop&) = delete;
  ProgramStop& operator=(const ProgramStop&) = delete;

  // Stays in force: a program that is started later is ended at once. Does not block.
  void Request();

 private:
  friend class ProgramRun;

  std::atomic<bool> requested_ = false;
  int event_ = -1;  // An eventfd that is readable once it was requested; -1: there was none left.
};

// A variable in `command` that is not set is an error, at which the shell fails:
// as nothing, it could leave a command that does nothing, which would be taken for success.
//
// Waits for the end of the program: its exit decides, not the end of its output. What it has left
// running may write for 1 s more; what comes later is dropped.
//
// It has a process group of its own, so that Ctrl-C does not reach it. At `timeout`, or when `stop`
// asks for it, the group gets SIGTERM, and what is left of it after kill_grace SIGKILL; whatever
// exit status the program has then, it has not succeeded. What a program that failed has left
// running is killed too. What one that succeeded has left is its own affair. When this process
// dies, so does the group (ProgramKeeper).
//
// A program that does not read its input is none the worse. Thread-safe; `stop` may be null.
ProgramResult RunShell(const std::string& command, const ProgramInput& input,
                       const ProgramStop* stop = nullptr);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_EXEC_PROGRAM_H_
