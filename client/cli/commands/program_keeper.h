// Ends programs that this process has started if it dies before they do, however it dies.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_PROGRAM_KEEPER_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_PROGRAM_KEEPER_H_

#include <sys/types.h>

namespace hookgate::cli {

// A small process beside this one that holds the other end of a pipe, and the process groups it was
// told of. When the pipe ends, which the death of this process brings about even by SIGKILL, it
// kills those groups and ends. PR_SET_PDEATHSIG alone would not do: it reaches one process, so the
// shell would die and leave what it runs.
//
// Thread-safe. Never destroyed: it has to outlive every program.
class ProgramKeeper {
 public:
  // The one of this process, started at the first call. If it cannot be started, calls below do
  // nothing.
  static ProgramKeeper& Get();

  // Watches the group from now on, or no longer. Async-signal-safe, so that a program's process can
  // name itself between fork and exec: named by its parent, it would be forgotten if that parent
  // died in between. Forget is called while the group's leader is still a zombie, or its number
  // might be another's. Neither blocks.
  void Watch(pid_t group) const { Tell(group); }
  void Forget(pid_t group) const { Tell(-group); }

 private:
  ProgramKeeper();
  void Tell(pid_t word) const;

  int pipe_ = -1;  // Its writing end. Constant after construction.
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_PROGRAM_KEEPER_H_
