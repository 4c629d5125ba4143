#include "server/gateway/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace hookgate {
namespace {

sigset_t ShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

int Wait() {
  const sigset_t signals = ShutdownSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  return signal;
}

}  // namespace

void BlockShutdownSignals() {
  const sigset_t signals = ShutdownSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that closes its end must not end the process.
  signal(SIGPIPE, SIG_IGN);
}

int WaitForShutdownSignal() {
  const int first = Wait();
  std::thread([] {
    // Nothing is flushed and nothing is waited for: what was answered is on the disk already.
    _exit(128 + Wait());
  }).detach();
  return first;
}

}  // namespace hookgate
