// One of `hookgate`'s commands: what it is for, its flags, and what it does.
#ifndef HOOKGATE_CLIENT_CLI_COMMAND_H_
#define HOOKGATE_CLIENT_CLI_COMMAND_H_

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "client/cli/environment.h"
#include "client/cli/flags.h"

namespace hookgate::cli {

// Of arguments that may be as many as one likes.
inline constexpr size_t kAnyNumber = std::numeric_limits<size_t>::max();

struct Command {
  struct Example {
    std::string line;     // As typed.
    std::string meaning;  // In a few words.
  };
  struct Exit {
    int code;
    std::string meaning;
  };
  // What stands behind the command besides its flags.
  struct Arguments {
    std::string usage;  // "ID", "ID ...", "[ID ...]"
    size_t least = 0;
    size_t most = 0;
    // The flag, without its dashes, that somebody may have meant who gives one argument too many;
    // "": none is likely.
    std::string flag_of_stray = {};
    // What to do instead with one that is no value of that flag; "$0" in it is the argument.
    std::string advice_on_others = {};
    bool any_bytes = false;  // They need not be UTF-8: they are paths.
  };

  std::string name;         // One word, or the group's and its own: "quarantine list".
  std::string summary;      // A few words, for the overview.
  std::string description;  // What one should know before using it.
  Arguments arguments = {};
  std::vector<FlagSpec> flags;
  std::vector<Example> examples;
  std::vector<Exit> exits;
  // Does it and returns the exit code. Everything it has to say is said when it returns.
  int (*run)(const Flags& flags, Environment& environment);
};

// Commands whose names begin with the same word.
struct CommandGroup {
  std::string name;         // That word.
  std::string summary;      // A few words, for the overview.
  std::string description;  // What its commands are about.
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMAND_H_
