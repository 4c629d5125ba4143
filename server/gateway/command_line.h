// The words of the command line, checked before Abseil parses them: Abseil ends the process at the
// first flag that is wrong, and with another exit code than ours.
#ifndef HOOKGATE_SERVER_GATEWAY_COMMAND_LINE_H_
#define HOOKGATE_SERVER_GATEWAY_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/config/problems.h"

namespace hookgate {

// Adds an error for each of `words` (without the program's name) that Abseil would not take, or
// that is not a flag of the source file `file` ("server/main.cc"): also Abseil's own, such as
// --flagfile and --fromenv, by which flags could come from elsewhere. --help, -h and --version may
// be there. A flag of text that is given with nothing, as by --config=$UNSET_VARIABLE, is an error
// too. Sets the flags that are right.
void CheckCommandLine(const std::vector<std::string>& words, absl::string_view file,
                      Problems& problems);

bool AsksForHelp(const std::vector<std::string>& words);
bool AsksForVersion(const std::vector<std::string>& words);

// The usage message of the program and the flags of `file`, by name.
std::string HelpText(absl::string_view file);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_COMMAND_LINE_H_
