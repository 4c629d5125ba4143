// SIGTERM and SIGINT: the first asks for a polite end, the second ends the process at once.
#ifndef HOOKGATE_SERVER_GATEWAY_SIGNALS_H_
#define HOOKGATE_SERVER_GATEWAY_SIGNALS_H_

namespace hookgate {

// Keeps the signals from every thread that is started from now on. Called first in main.
void BlockShutdownSignals();

// Waits for the first signal and returns its number. From then on another one ends the process with
// exit code 128 + its number.
int WaitForShutdownSignal();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_SIGNALS_H_
