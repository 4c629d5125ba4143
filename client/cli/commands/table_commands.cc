#include "client/cli/commands/table_commands.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/completion.h"
#include "client/cli/exit_code.h"
#include "client/cli/man_page.h"
#include "client/cli/report.h"
#include "version/version.h"

namespace hookgate::cli {
namespace {

constexpr char kCompletion[] = "completion";
constexpr char kMan[] = "man";

}  // namespace

int PrintCompletion(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                    const Flags& flags, Environment& environment) {
  const std::string& shell = flags.arguments()[0];
  if (shell == "bash") {
    environment.out << BashCompletion(commands, groups);
  } else if (shell == "zsh") {
    environment.out << ZshCompletion(commands, groups);
  } else if (shell == "fish") {
    environment.out << FishCompletion(commands, groups);
  } else {
    return WrongUsage(
        kCompletion,
        absl::StrCat("\"", shell, "\" is not a supported shell; use bash, zsh or fish"),
        environment);
  }
  return kSuccess;
}

int PrintManPage(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                 Environment& environment) {
  environment.out << ManPage(commands, groups, Version());
  return kSuccess;
}

Command CompletionCommand(int (*run)(const Flags&, Environment&)) {
  return {.name = kCompletion,
          .summary = "Print what makes a shell complete commands and flags",
          .description =
              "Prints a script for the shell. A package of Hookgate has installed it already; "
              "otherwise a line in the shell's start file, as in the examples, does it.",
          .arguments = {.usage = "bash|zsh|fish", .least = 1, .most = 1},
          .flags = {},
          .examples = {{"source <(hookgate completion bash)", "In ~/.bashrc."},
                       {"source <(hookgate completion zsh)", "In ~/.zshrc, behind compinit."},
                       {"hookgate completion fish | source", "In ~/.config/fish/config.fish."}},
          .exits = {{kSuccess, "It was printed."}, {kWrongUsage, "The command line is wrong."}},
          .run = run};
}

Command ManCommand(int (*run)(const Flags&, Environment&)) {
  return {.name = kMan,
          .summary = "Print the manual page of all commands",
          .description =
              "Prints hookgate(1) in the form that man reads. A package of Hookgate has installed "
              "it already.",
          .flags = {},
          .examples = {{"hookgate man | man -l -", "Read it."},
                       {"hookgate man > /usr/local/share/man/man1/hookgate.1", "Install it."}},
          .exits = {{kSuccess, "It was printed."}, {kWrongUsage, "The command line is wrong."}},
          .run = run};
}

}  // namespace hookgate::cli
