#include "client/cli/cli.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/strings/substitute.h"
#include "client/cli/commands/commands.h"
#include "client/cli/exit_code.h"
#include "client/cli/help.h"
#include "client/cli/printable.h"
#include "client/cli/report.h"
#include "client/cli/security_flags.h"
#include "client/target.h"
#include "common/nearest.h"
#include "server/base/utf8.h"
#include "version/version.h"

namespace hookgate::cli {
namespace {

using Arguments = std::vector<std::string>;

template <typename Named>
const Named* Find(const std::vector<Named>& all, absl::string_view name) {
  for (const Named& named : all) {
    if (named.name == name) return &named;
  }
  return nullptr;
}

bool IsHelp(absl::string_view argument) {
  return argument == "--help" || argument == "-h" || argument == "-help";
}

// What may stand behind `hookgate`, or behind `hookgate GROUP`.
std::vector<std::string> KnownWords(const CommandGroup* group) {
  std::vector<std::string> words = {"help"};
  for (const Command& command : Commands()) {
    absl::string_view word = command.name;
    const bool here = group == nullptr ? !absl::StrContains(word, ' ')
                                       : absl::ConsumePrefix(&word, absl::StrCat(group->name, " "));
    if (here) words.emplace_back(word);
  }
  if (group != nullptr) return words;
  for (const CommandGroup& each : CommandGroups()) words.push_back(each.name);
  return words;
}

//   group  in which `word` was looked for; null: in none
int UnknownCommand(const CommandGroup* group, absl::string_view word, Environment& environment) {
  const std::string prefix = group == nullptr ? "" : absl::StrCat(group->name, " ");
  if (absl::StartsWith(word, "-")) {
    Fail(kWrongUsage, absl::StrCat("flags follow the command: hookgate ", prefix, "COMMAND ", word),
         environment);
  } else {
    Fail(kWrongUsage,
         absl::StrCat("there is no command ", prefix, word, DidYouMean(word, KnownWords(group))),
         environment);
  }
  environment.err << "See hookgate " << prefix << "--help.\n";
  return kWrongUsage;
}

// `arguments`: what follows help.
int Help(const Arguments& arguments, Environment& environment) {
  if (arguments.empty() || IsHelp(arguments[0]) || arguments[0] == "help") {
    environment.out << Overview(Commands(), CommandGroups());
    return kSuccess;
  }
  const CommandGroup* group = Find(CommandGroups(), arguments[0]);
  if (group != nullptr && arguments.size() == 1) {
    environment.out << OverviewOf(*group, Commands());
    return kSuccess;
  }
  const std::string& word = arguments[group == nullptr ? 0 : 1];
  const std::string name = group == nullptr ? word : absl::StrCat(group->name, " ", word);
  const Command* command = Find(Commands(), name);
  if (command == nullptr) return UnknownCommand(group, word, environment);
  environment.out << HelpOf(*command);
  return kSuccess;
}

std::string AdviceOnStray(const Command& command, const std::string& stray) {
  const std::string& flag = command.arguments.flag_of_stray;
  const bool is_number = std::any_of(
      command.flags.begin(), command.flags.end(),
      [&flag](const FlagSpec& spec) { return spec.name == flag && spec.kind == FlagKind::kInt; });
  int64_t number = 0;
  if (!is_number || absl::SimpleAtoi(stray, &number)) {
    return absl::StrCat("Did you mean --", flag, " ", stray, "?");
  }
  return absl::Substitute(command.arguments.advice_on_others, stray);
}

absl::Status CheckArguments(const Command& command, const Arguments& arguments) {
  if (arguments.size() < command.arguments.least) {
    return absl::InvalidArgumentError(absl::StrCat("an argument is missing: hookgate ",
                                                   command.name, " ", command.arguments.usage));
  }
  for (const std::string& argument : arguments) {
    if (command.arguments.any_bytes || IsUtf8(argument)) continue;
    return absl::InvalidArgumentError(absl::StrCat("\"", Printable(argument), "\" is not valid: ",
                                                   command.arguments.usage, " is text in UTF-8"));
  }
  if (arguments.size() <= command.arguments.most) return absl::OkStatus();
  const std::string& first = arguments[command.arguments.most];
  const std::string takes =
      command.arguments.most == 0
          ? "takes flags only"
          : absl::StrCat("takes ", command.arguments.usage, " and flags only");
  std::string message =
      absl::StrCat("hookgate ", command.name, " ", takes, ", and \"", first, "\" is not a flag");
  if (!command.arguments.flag_of_stray.empty()) {
    absl::StrAppend(&message, ". ", AdviceOnStray(command, first));
  }
  return absl::InvalidArgumentError(message);
}

int RunCommand(const Command& command, const Arguments& arguments, Environment& environment) {
  // Whatever else is said: who asks for help has not got it right yet.
  if (std::any_of(arguments.begin(), arguments.end(), IsHelp)) {
    environment.out << HelpOf(command);
    return kSuccess;
  }
  const absl::StatusOr<Flags> flags =
      Flags::Parse(command.flags, arguments, environment.get_variable, environment.zone);
  if (!flags.ok()) return WrongUsage(command.name, flags.status().message(), environment);
  const absl::Status right = CheckArguments(command, flags->arguments());
  if (!right.ok()) return WrongUsage(command.name, right.message(), environment);
  if (flags->Defines("grpc")) {
    if (const absl::Status target = CheckTarget(flags->Text("grpc")); !target.ok()) {
      return WrongUsage(
          command.name,
          absl::StrCat(flags->Given("grpc") ? "--grpc" : "HOOKGATE_GRPC", ": \"",
                       flags->Text("grpc"), "\" is not valid: ", std::string(target.message())),
          environment);
    }
    absl::StatusOr<ConnectionSecurity> security = SecurityOf(*flags, environment.get_variable);
    if (!security.ok()) {
      return WrongUsage(command.name, security.status().message(), environment);
    }
    environment.security = *std::move(security);
  }
  for (const std::string& doubt : DoubtsAbout(command.flags, *flags)) Say(doubt, environment);
  return command.run(*flags, environment);
}

// `arguments`: what follows the group's name.
int RunInGroup(const CommandGroup& group, const Arguments& arguments, Environment& environment) {
  if (arguments.empty()) {
    environment.err << OverviewOf(group, Commands());
    return kWrongUsage;
  }
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (IsHelp(arguments[0]) || arguments[0] == "help") {
    Arguments of_group = {group.name};
    of_group.insert(of_group.end(), rest.begin(), rest.end());
    return Help(of_group, environment);
  }
  const Command* command = Find(Commands(), absl::StrCat(group.name, " ", arguments[0]));
  return command == nullptr ? UnknownCommand(&group, arguments[0], environment)
                            : RunCommand(*command, rest, environment);
}

int Dispatch(const Arguments& arguments, Environment& environment) {
  if (arguments.empty()) {
    environment.err << Overview(Commands(), CommandGroups());
    return kWrongUsage;
  }
  const std::string& name = arguments[0];
  const Arguments rest(arguments.begin() + 1, arguments.end());
  if (name == "help" || IsHelp(name)) return Help(rest, environment);
  if (name == "--version") {
    environment.out << "hookgate " << Version() << "\n";
    return kSuccess;
  }
  if (const CommandGroup* group = Find(CommandGroups(), name)) {
    return RunInGroup(*group, rest, environment);
  }
  const Command* command = Find(Commands(), name);
  return command == nullptr ? UnknownCommand(nullptr, name, environment)
                            : RunCommand(*command, rest, environment);
}

}  // namespace

int RunCommandLine(const std::vector<std::string>& arguments, Environment& environment) {
  return Finish(Dispatch(arguments, environment), environment);
}

}  // namespace hookgate::cli
