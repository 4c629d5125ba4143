#include "client/cli/cli.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/help.h"
#include "client/cli/nearest.h"
#include "client/cli/report.h"

namespace hookgate::cli {
namespace {

constexpr char kVersion[] = "0.1.0";

using Arguments = std::vector<std::string>;

const Command* Find(absl::string_view name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

bool IsHelpFlag(absl::string_view argument) {
  return argument == "--help" || argument == "-h" || argument == "-help";
}

int UnknownCommand(absl::string_view name, Environment& environment) {
  std::vector<std::string> known = {"help"};
  for (const Command& command : Commands()) known.push_back(command.name);
  if (absl::StartsWith(name, "-")) {
    Fail(kWrongUsage, absl::StrCat("flags stand behind the command: hookgate COMMAND ", name),
         environment);
  } else {
    Fail(kWrongUsage, absl::StrCat("there is no command ", name, DidYouMean(name, known)),
         environment);
  }
  environment.err << "See hookgate --help.\n";
  return kWrongUsage;
}

int Help(const Arguments& arguments, Environment& environment) {
  if (arguments.empty() || IsHelpFlag(arguments[0]) || arguments[0] == "help") {
    environment.out << Overview(Commands());
    return kFine;
  }
  const Command* command = Find(arguments[0]);
  if (command == nullptr) return UnknownCommand(arguments[0], environment);
  environment.out << HelpOf(*command);
  return kFine;
}

int RunCommand(const Command& command, const Arguments& arguments, Environment& environment) {
  // Whatever else is said: who asks for help has not got it right yet.
  if (std::any_of(arguments.begin(), arguments.end(), IsHelpFlag)) {
    environment.out << HelpOf(command);
    return kFine;
  }
  const absl::StatusOr<Flags> flags =
      Flags::Parse(command.flags, arguments, environment.get_variable);
  if (!flags.ok()) return WrongUsage(command.name, flags.status().message(), environment);
  if (!flags->arguments().empty()) {
    return WrongUsage(command.name,
                      absl::StrCat("\"", flags->arguments()[0],
                                   "\" is not a flag, and there is nothing else to say"),
                      environment);
  }
  return command.run(*flags, environment);
}

int Dispatch(const Arguments& arguments, Environment& environment) {
  if (arguments.empty()) {
    environment.err << Overview(Commands());
    return kWrongUsage;
  }
  const std::string& name = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "help" || IsHelpFlag(name)) return Help(rest, environment);
  if (name == "--version") {
    environment.out << "hookgate " << kVersion << "\n";
    return kFine;
  }
  const Command* command = Find(name);
  return command == nullptr ? UnknownCommand(name, environment)
                            : RunCommand(*command, rest, environment);
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, Environment& environment) {
  return Finish(Dispatch(arguments, environment), environment);
}

}  // namespace hookgate::cli
