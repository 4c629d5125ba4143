// The flags of one command: a table that says what there is, and what a command line said.
//
// Abseil's flags are global to a binary, one set for all commands; these belong to a command.
#ifndef HOOKGATE_CLIENT_CLI_FLAGS_H_
#define HOOKGATE_CLIENT_CLI_FLAGS_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate::cli {

// The value of an environment variable.
using GetVariable = std::function<std::optional<std::string>(const std::string&)>;

enum class FlagKind {
  kBool,      // --raw, --raw=true, --raw=false
  kText,      // anything but nothing, in UTF-8
  kChoice,    // one of `choices`
  kInt,       // a whole number from `minimum` to `maximum`
  kDuration,  // ParseDuration, from `shortest` to `longest`
  kTime,      // ParseTime: a duration ago, a local time, or a moment
};

struct FlagSpec {
  std::string name;  // Without the dashes.
  FlagKind kind = FlagKind::kText;
  std::string value;  // What help calls the value: "FILE". Empty for kBool and kChoice.
  std::string help;   // One sentence or a few.
  // Used when the flag is not given, as if typed; empty: none.
  std::string default_value = {};
  // Asked before the default, unless it is unset or empty.
  std::string variable = {};
  // Given several times, it is a list. Otherwise the last one counts, so that a script can end with
  // "$@".
  bool repeated = false;
  std::vector<std::string> choices = {};
  int64_t minimum = 0;
  int64_t maximum = std::numeric_limits<int64_t>::max();
  absl::Duration shortest = absl::ZeroDuration();
  absl::Duration longest = absl::InfiniteDuration();
  // Of kText: it need not be UTF-8, such as a path, or what a shell runs.
  bool any_bytes = false;
  // Of kText: what is usually meant; "batch.*" stands for all that begin so. Another value that is
  // near to one of them is taken, and DoubtsAbout asks whether that was meant.
  std::vector<std::string> usual = {};
};

// What was said, checked against the table: getters cannot fail, and abort on a name or kind that
// the table does not have.
class Flags {
 public:
  // Understands --name=value, --name value, --bool, and "--" before arguments that are no flags.
  //   arguments  what follows the command
  //   zone       of the reader, for times without one
  // INVALID_ARGUMENT says which flag, what about it, and what would be right. An unknown flag's
  // value is not repeated: it may be a secret in the wrong place.
  static absl::StatusOr<Flags> Parse(const std::vector<FlagSpec>& specs,
                                     const std::vector<std::string>& arguments,
                                     const GetVariable& get_variable, absl::TimeZone zone);

  // Whether the command has it.
  bool Defines(absl::string_view name) const {
    return entries_.find(std::string(name)) != entries_.end();
  }
  // Whether the command line gave it: neither a variable nor the default did.
  bool Given(absl::string_view name) const;
  // Whether it has a value from anywhere.
  bool Has(absl::string_view name) const { return !Values(name).empty(); }

  bool Bool(absl::string_view name) const;
  const std::string& Text(absl::string_view name) const;  // kText and kChoice
  const std::vector<std::string>& List(absl::string_view name) const { return Values(name); }
  int64_t Int(absl::string_view name) const;
  absl::Duration Duration(absl::string_view name) const;
  absl::Time Time(absl::string_view name, absl::Time now) const;

  // The arguments that are no flags, in order.
  const std::vector<std::string>& arguments() const { return arguments_; }

 private:
  struct Entry {
    std::vector<std::string> values;
    bool given = false;
  };

  const std::vector<std::string>& Values(absl::string_view name) const;

  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> arguments_;
  absl::TimeZone zone_;
};

// INVALID_ARGUMENT if more than one of `names` was given: they contradict each other.
absl::Status CheckAtMostOne(const Flags& flags, const std::vector<std::string>& names);

// A question for each value that may be mistyped, see FlagSpec::usual.
std::vector<std::string> DoubtsAbout(const std::vector<FlagSpec>& specs, const Flags& flags);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_FLAGS_H_
