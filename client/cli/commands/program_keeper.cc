#include "client/cli/commands/program_keeper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace hookgate::cli {
namespace {

// More than --concurrency allows. A group beyond it is left to PR_SET_PDEATHSIG.
constexpr size_t kMostGroups = 4096;

// Everything but `kept`, which becomes descriptor 0.
void CloseAllBut(int kept) {
  dup2(kept, 0);
  if (close_range(1, ~0U, 0) == 0) return;
  // An older kernel.
  const int most = static_cast<int>(std::min(sysconf(_SC_OPEN_MAX), 1L << 16));
  for (int fd = 1; fd < most; ++fd) close(fd);
}

// The keeper's life. Between fork and exec, in a process that may have had many threads: only
// async-signal-safe calls, and no memory but its own.
[[noreturn]] void Keep(int pipe) {
  prctl(PR_SET_NAME, "hookgate-keeper");
  setsid();  // Neither Ctrl-C nor a terminal that closes is meant for it.
  CloseAllBut(pipe);
  pid_t groups[kMostGroups];
  size_t count = 0;
  while (true) {
    pid_t word = 0;
    const ssize_t size = read(0, &word, sizeof(word));
    if (size < 0 && errno == EINTR) continue;
    if (size != static_cast<ssize_t>(sizeof(word))) break;
    if (word > 0 && count < kMostGroups) groups[count++] = word;
    if (word >= 0) continue;
    for (size_t i = 0; i < count; ++i) {
      if (groups[i] != -word) continue;
      groups[i] = groups[--count];
      break;
    }
  }
  for (size_t i = 0; i < count; ++i) kill(-groups[i], SIGKILL);
  _exit(0);
}

}  // namespace

ProgramKeeper& ProgramKeeper::Get() {
  static ProgramKeeper* const keeper = new ProgramKeeper;
  return *keeper;
}

ProgramKeeper::ProgramKeeper() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // The keeper keeps them blocked.
  const pid_t pid = fork();
  if (pid == 0) Keep(ends[0]);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(ends[0]);
  if (pid < 0) {
    close(ends[1]);
    return;
  }
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  pipe_ = ends[1];
}

void ProgramKeeper::Tell(pid_t word) const {
  // Whole or not at all, as it is shorter than PIPE_BUF. If the keeper was killed, nobody reads,
  // and SIGPIPE must not end the caller: Watch and Forget are called with it ignored or blocked.
  while (pipe_ >= 0 && write(pipe_, &word, sizeof(word)) < 0 && errno == EINTR) {
  }
}

}  // namespace hookgate::cli
