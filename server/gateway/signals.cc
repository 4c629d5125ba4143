#include "server/gateway/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <initializer_list>
#include <thread>

namespace hookgate {
namespace {

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

int WaitForOneOf(const sigset_t& signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

}  // namespace

void BlockSignals() {
  const sigset_t signals = SetOf({SIGTERM, SIGINT, SIGHUP});
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that closes its end must not end the process.
  signal(SIGPIPE, SIG_IGN);
}

SignalRequest WaitForSignal() {
  if (WaitForOneOf(SetOf({SIGTERM, SIGINT, SIGHUP})) == SIGHUP) return SignalRequest::kReload;
  std::thread([] {
    // Nothing is flushed and nothing is waited for: what was answered is on the disk already.
    _exit(128 + WaitForOneOf(SetOf({SIGTERM, SIGINT})));
  }).detach();
  return SignalRequest::kShutdown;
}

}  // namespace hookgate
