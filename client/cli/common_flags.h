// What several commands have in common: their flags, and how they report what went wrong.
#ifndef HOOKGATE_CLIENT_CLI_COMMON_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_COMMON_FLAGS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/cli/environment.h"
#include "client/cli/flags.h"
#include "client/cli/style.h"
#include "client/gateway_error.h"
#include "hookgate/v1/event.pb.h"

namespace hookgate::cli {

FlagSpec GrpcFlag();
FlagSpec OutputFlag();
FlagSpec ColorFlag();
FlagSpec TimeoutFlag(const std::string& help, const std::string& default_value = "10s");
// --source, --type, --subject: lists that narrow each other.
std::vector<FlagSpec> FilterFlags();

// The parts, one behind the other.
std::vector<FlagSpec> Join(std::vector<std::vector<FlagSpec>> parts);

v1::EventFilter FilterOf(const Flags& flags);
bool IsJson(const Flags& flags);
// By --color, the terminal and NO_COLOR.
Style StyleOf(const Flags& flags, const Environment& environment);

// Each says `message` on stderr and returns the exit code.
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

#endif  // HOOKGATE_CLIENT_CLI_COMMON_FLAGS_H_
