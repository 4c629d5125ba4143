// One of `hookgate`'s commands: what it is for, its flags, and what it does.
#ifndef HOOKGATE_CLIENT_CLI_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMAND_H_

#include <string>
#include <vector>

#include "client/cli/environment.h"
#include "client/cli/flags.h"

namespace hookgate::cli {

struct Command {
  struct Example {
    std::string line;     // As typed.
    std::string meaning;  // In a few words.
  };
  struct Exit {
    int code;
    std::string meaning;
  };

  std::string name;
  std::string summary;      // A few words, for the overview.
  std::string description;  // What one should know before using it.
  std::vector<FlagSpec> flags;
  std::vector<Example> examples;
  std::vector<Exit> exits;
  // Does it and returns the exit code. Everything it has to say is said when it returns.
  int (*run)(const Flags& flags, Environment& environment);
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMAND_H_
