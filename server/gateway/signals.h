// What the operator asks for by signals: SIGTERM and SIGINT for a graceful shutdown, a second one
// of them for the end at once, SIGHUP for reading the config again.
#ifndef HOOKGATE_SERVER_GATEWAY_SIGNALS_H_
#define HOOKGATE_SERVER_GATEWAY_SIGNALS_H_

#include <atomic>
#include <thread>

namespace hookgate {

// Keeps the signals from every thread that is started from now on. Called first in main.
void BlockSignals();

enum class SignalRequest { kShutdown, kReload };

// Waits for the next request. After kShutdown another SIGTERM or SIGINT ends the process with exit
// code 128 + its number.
SignalRequest WaitForSignal();

// Whether SIGTERM or SIGINT waits for the next WaitForSignal.
bool IsAskedToEnd();

// While it lives, SIGTERM and SIGINT end the process at once, with exit code 0 and a line of the
// log: for a start that waits for something, as long as nobody was promised anything. After
// BlockSignals.
class EndsWhenAsked {
 public:
  EndsWhenAsked();
  ~EndsWhenAsked();
  EndsWhenAsked(const EndsWhenAsked&) = delete;
  EndsWhenAsked& operator=(const EndsWhenAsked&) = delete;

 private:
  void Run();

  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_SIGNALS_H_
