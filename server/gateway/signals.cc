#include "server/gateway/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <initializer_list>

#include "server/base/current_thread.h"
#include "server/base/log_output.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

// Nothing is flushed and nothing is waited for: what was answered is on the disk already.
void EndAtOnce(int signal) { _exit(128 + signal); }

// By a handler, since a thread that waits for it could not be started where no memory is left.
void EndAtOnceWhenAskedAgain() {
  signal(SIGTERM, EndAtOnce);
  signal(SIGINT, EndAtOnce);
  const sigset_t signals = SetOf({SIGTERM, SIGINT});
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = SetOf({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that closes its end must not end the process.
  signal(SIGPIPE, SIG_IGN);
}

SignalRequest WaitForSignal() {
  const sigset_t signals = SetOf({SIGTERM, SIGINT, SIGHUP});
  int signal = 0;
  sigwait(&signals, &signal);
  if (signal == SIGHUP) return SignalRequest::kReload;
  EndAtOnceWhenAskedAgain();
  return SignalRequest::kShutdown;
}

bool IsAskedToEnd() {
  sigset_t pending;
  return sigpending(&pending) == 0 &&
         (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

EndsWhenAsked::EndsWhenAsked() : thread_([this] { Run(); }) {}

EndsWhenAsked::~EndsWhenAsked() {
  ends_ = true;
  thread_.join();
}

// The thread that starts the gateway may be anywhere, also within a library of an engine.
void EndsWhenAsked::Run() {
  NameThread("ends_when_asked");
  const sigset_t signals = SetOf({SIGTERM, SIGINT});
  constexpr timespec kBetweenLooks = {.tv_sec = 0, .tv_nsec = 100'000'000};
  while (!ends_) {
    if (sigtimedwait(&signals, nullptr, &kBetweenLooks) < 0) continue;
    Log(Severity::kInfo, "stopped before it was ready");
    FlushLog();
    _exit(EXIT_SUCCESS);
  }
}

}  // namespace hookgate
