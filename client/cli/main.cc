// hookgate: the real environment, then the command line.

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <thread>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"
#include "client/cli/cli.h"
#include "client/cli/fd_output.h"
#include "client/connection.h"
#include "server/base/standard_descriptors.h"

namespace hookgate::cli {
namespace {

std::optional<std::string> GetVariable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

std::string FreshWebhookId() {
  static absl::BitGen random;
  return absl::StrFormat("wh_%016x%08x", absl::Uniform<uint64_t>(random),
                         absl::Uniform<uint32_t>(random));
}

bool IsIgnored(int number) {
  struct sigaction action;
  return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// From now on a thread takes SIGINT, SIGTERM and SIGHUP, by which a terminal closes: they ask the
// command to end, as often as it listens; after that the process ends as if the signal had its
// usual way. Called before other threads start.
void WatchSignals(Interrupt& interrupt) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (!IsIgnored(SIGHUP)) sigaddset(&signals, SIGHUP);  // Under nohup it stays ignored.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A reader that closes the pipe shows as a failed write.
  signal(SIGPIPE, SIG_IGN);
  // So does a file that may not become longer (ulimit -f).
  signal(SIGXFSZ, SIG_IGN);
  // Ignored, as some parents leave it, it would hide how programs of --exec have ended.
  signal(SIGCHLD, SIG_DFL);
  std::thread([signals, &interrupt] {
    int number = 0;
    do {
      sigwait(&signals, &number);
    } while (interrupt.Trigger());
    _exit(128 + number);
  }).detach();
}

int Main(int argc, char** argv) {
  // Lives for ever: the thread that waits for signals refers to it.
  static Interrupt interrupt;
  WatchSignals(interrupt);
  std::ios::sync_with_stdio(false);
  FdOutput output(STDOUT_FILENO);
  std::ostream out(&output);
  Environment environment = {.in = std::cin,
                             .out = out,
                             .out_error = [&output] { return output.error(); },
                             .err = std::cerr,
                             .in_is_terminal = isatty(STDIN_FILENO) != 0,
                             .out_is_terminal = isatty(STDOUT_FILENO) != 0,
                             .clock = SystemClock(),
                             .zone = absl::LocalTimeZone(),
                             .interrupt = interrupt,
                             .get_variable = GetVariable,
                             .connect =
                                 [](const std::string& target, const ConnectionSecurity& security) {
                                   return std::make_unique<Connection>(target, security);
                                 },
                             .post = HttpPost,
                             .get = HttpGet,
                             .fresh_webhook_id = FreshWebhookId};
  return RunCommandLine({argv + 1, argv + argc}, environment);
}

}  // namespace
}  // namespace hookgate::cli

HOOKGATE_RESERVE_STANDARD_DESCRIPTORS

int main(int argc, char** argv) {
  // The command says what is wrong in its own words, unless somebody wants to hear gRPC's.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return hookgate::cli::Main(argc, argv);
}
