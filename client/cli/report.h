// How a command says what went wrong, and with which exit code it ends then.
#ifndef HOOKGATE_CLIENT_CLI_REPORT_H_
#define HOOKGATE_CLIENT_CLI_REPORT_H_

#include "absl/strings/string_view.h"
#include "client/cli/environment.h"
#include "client/gateway_error.h"

namespace hookgate::cli {

// A line on stderr: `message` is made Printable.
void Say(absl::string_view message, Environment& environment);

// Each says `message` and returns the exit code.
int Fail(int exit_code, absl::string_view message, Environment& environment);
int WrongUsage(absl::string_view command, absl::string_view message, Environment& environment);
// A call to `target` failed: kNotFound, kUnreachable or kFailed.
int FailedCall(const GatewayError& error, absl::string_view what, absl::string_view target,
               Environment& environment);

// Flushes what was printed. Returns `exit_code`; or, if not all of it could be written, kFailed
// after saying why, except that a reader who has closed the pipe (`hookgate events | head`) is no
// failure.
int Finish(int exit_code, Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_REPORT_H_
