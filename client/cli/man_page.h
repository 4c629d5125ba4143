// The manual page hookgate(1). Pure.
#ifndef HOOKGATE_CLIENT_CLI_MAN_PAGE_H_
#define HOOKGATE_CLIENT_CLI_MAN_PAGE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/cli/command.h"

namespace hookgate::cli {

// In troff with the macros of man(7): all that --help says of each command, and the environment
// variables that the flags take their values from. It holds no date: one version has one page.
std::string ManPage(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                    absl::string_view version);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_MAN_PAGE_H_
