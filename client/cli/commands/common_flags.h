// Flags that several commands have, and what they mean.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_COMMON_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_COMMON_FLAGS_H_

#include <string>
#include <vector>

#include "client/cli/environment.h"
#include "client/cli/flags.h"
#include "client/cli/reader.h"
#include "client/cli/style.h"
#include "hookgate/v1/event.pb.h"

namespace hookgate::cli {

FlagSpec GrpcFlag();
// --output: text or json, as MessageJson has it.
FlagSpec OutputFlag();
FlagSpec ColorFlag();
FlagSpec TimeoutFlag(const std::string& help, const std::string& default_value = "10s");
// The four above, with which most commands end.
std::vector<FlagSpec> CallFlags(const std::string& timeout_help,
                                const std::string& timeout_default = "10s");
// --source, --type, --subject: lists that narrow each other.
std::vector<FlagSpec> FilterFlags();

// The parts, one behind the other.
std::vector<FlagSpec> Join(std::vector<std::vector<FlagSpec>> parts);

v1::EventFilter FilterOf(const Flags& flags);
bool IsJson(const Flags& flags);
// By --color, the terminal and NO_COLOR.
Style StyleOf(const Flags& flags, const Environment& environment);
// Who reads what the command prints, now.
Reader ReaderOf(const Flags& flags, const Environment& environment);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_COMMON_FLAGS_H_
