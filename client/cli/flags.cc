#include "client/cli/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/printable.h"
#include "client/cli/time_format.h"
#include "common/nearest.h"
#include "server/base/status.h"
#include "server/base/utf8.h"

namespace hookgate::cli {
namespace {

// Whether `value` is right; what would be right, if it is not.
absl::Status CheckInt(const FlagSpec& spec, absl::string_view value) {
  int64_t number = 0;
  if (absl::SimpleAtoi(value, &number) && number >= spec.minimum && number <= spec.maximum) {
    return absl::OkStatus();
  }
  if (spec.maximum == std::numeric_limits<int64_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("a whole number from ", spec.minimum, " on"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a whole number from ", spec.minimum, " to ", spec.maximum));
}

absl::Status CheckDuration(const FlagSpec& spec, absl::string_view value) {
  ASSIGN_OR_RETURN(const absl::Duration duration, ParseDuration(value));
  if (duration >= spec.shortest && duration <= spec.longest) return absl::OkStatus();
  if (spec.longest == absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a duration of at least ", DurationText(spec.shortest)));
  }
  return absl::InvalidArgumentError(absl::StrCat("a duration from ", DurationText(spec.shortest),
                                                 " to ", DurationText(spec.longest)));
}

absl::Status CheckChoice(const FlagSpec& spec, const std::string& value) {
  const auto& choices = spec.choices;
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(absl::StrJoin(choices, " or "), DidYouMean(value, choices)));
}

absl::Status CheckKind(const FlagSpec& spec, const std::string& value, absl::TimeZone zone) {
  switch (spec.kind) {
    case FlagKind::kBool:
      if (value == "true" || value == "false") return absl::OkStatus();
      return absl::InvalidArgumentError("true or false, or nothing for true");
    case FlagKind::kText:
      if (value.empty()) return absl::InvalidArgumentError("something that is not empty");
      if (spec.any_bytes || IsUtf8(value)) return absl::OkStatus();
      return absl::InvalidArgumentError("text in UTF-8");
    case FlagKind::kChoice:
      return CheckChoice(spec, value);
    case FlagKind::kInt:
      return CheckInt(spec, value);
    case FlagKind::kDuration:
      return CheckDuration(spec, value);
    case FlagKind::kTime:
      return ParseTime(value, absl::UnixEpoch(), zone).status();
  }
  return absl::OkStatus();
}

//   what  how the message calls the flag or the variable
absl::Status Check(const FlagSpec& spec, absl::string_view what, const std::string& value,
                   absl::TimeZone zone) {
  absl::Status right = CheckKind(spec, value, zone);
  if (right.ok()) return right;
  return absl::InvalidArgumentError(absl::StrCat(
      what, ": \"", Printable(value), "\" is not valid; use ", std::string(right.message())));
}

absl::Status UnknownFlag(absl::string_view name, const std::vector<FlagSpec>& specs) {
  std::vector<std::string> known;
  known.reserve(specs.size());
  for (const FlagSpec& spec : specs) known.push_back(spec.name);
  return absl::InvalidArgumentError(
      absl::StrCat("there is no flag --", Printable(name), DidYouMean(name, known, "--")));
}

// One flag as typed.
struct Typed {
  absl::string_view name;
  std::optional<std::string> value;
};

Typed SplitFlag(absl::string_view argument) {
  Typed typed;
  const size_t equals = argument.find('=');
  typed.name = argument.substr(0, equals);
  if (!absl::ConsumePrefix(&typed.name, "--")) typed.name.remove_prefix(1);
  if (equals != absl::string_view::npos) typed.value = std::string(argument.substr(equals + 1));
  return typed;
}

// Completes `typed` from the argument after it, if it needs one; moves `index` over what it took.
absl::Status TakeValue(const FlagSpec& spec, const std::vector<std::string>& arguments,
                       size_t& index, Typed& typed) {
  if (typed.value.has_value()) return absl::OkStatus();
  if (spec.kind == FlagKind::kBool) {
    typed.value = "true";
    return absl::OkStatus();
  }
  // What begins with two dashes is the next flag, and the value was forgotten; "--x=--y" says so if
  // it was meant.
  if (index + 1 >= arguments.size() || absl::StartsWith(arguments[index + 1], "--")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", spec.name, " needs a value: --", spec.name, " ",
                     spec.value.empty() ? absl::StrJoin(spec.choices, "|") : spec.value));
  }
  typed.value = arguments[++index];
  return absl::OkStatus();
}

bool IsFlag(absl::string_view argument) {
  return argument.size() > 1 && absl::StartsWith(argument, "-");  // "-" alone is standard input.
}

[[noreturn]] void NotInTable(absl::string_view name) {
  std::fprintf(stderr, "hookgate: no command has the flag --%s\n", std::string(name).c_str());
  std::abort();
}

// Whether `value` is one of `usual`, or stands for some of them.
bool IsAmong(absl::string_view value, const std::vector<std::string>& usual) {
  absl::string_view beginning = value;
  const bool stands_for_some = absl::ConsumeSuffix(&beginning, "*");
  return std::any_of(usual.begin(), usual.end(), [&](const std::string& one) {
    return one == value || (stands_for_some && absl::StartsWith(one, beginning));
  });
}

}  // namespace

absl::StatusOr<Flags> Flags::Parse(const std::vector<FlagSpec>& specs,
                                   const std::vector<std::string>& arguments,
                                   const GetVariable& get_variable, absl::TimeZone zone) {
  Flags flags;
  flags.zone_ = zone;
  for (const FlagSpec& spec : specs) flags.entries_[spec.name];
  bool only_arguments = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (only_arguments || !IsFlag(arguments[i])) {
      flags.arguments_.push_back(arguments[i]);
      continue;
    }
    if (arguments[i] == "--") {
      only_arguments = true;
      continue;
    }
    Typed typed = SplitFlag(arguments[i]);
    const auto spec = std::find_if(specs.begin(), specs.end(), [&typed](const FlagSpec& spec) {
      return spec.name == typed.name;
    });
    if (spec == specs.end()) return UnknownFlag(typed.name, specs);
    RETURN_IF_ERROR(TakeValue(*spec, arguments, i, typed));
    RETURN_IF_ERROR(Check(*spec, absl::StrCat("--", spec->name), *typed.value, zone));
    Entry& entry = flags.entries_[spec->name];
    if (!spec->repeated) entry.values.clear();
    entry.values.push_back(*typed.value);
    entry.given = true;
  }
  for (const FlagSpec& spec : specs) {
    Entry& entry = flags.entries_[spec.name];
    if (entry.given) continue;
    const std::string variable =
        spec.variable.empty() ? "" : get_variable(spec.variable).value_or("");
    if (!variable.empty()) {
      RETURN_IF_ERROR(Check(spec, spec.variable, variable, zone));
      entry.values.push_back(variable);
    } else if (!spec.default_value.empty()) {
      entry.values.push_back(spec.default_value);
    }
  }
  return flags;
}

const std::vector<std::string>& Flags::Values(absl::string_view name) const {
  const auto found = entries_.find(std::string(name));
  if (found == entries_.end()) NotInTable(name);
  return found->second.values;
}

bool Flags::Given(absl::string_view name) const {
  Values(name);
  return entries_.find(std::string(name))->second.given;
}

bool Flags::Bool(absl::string_view name) const { return Has(name) && Values(name)[0] == "true"; }

const std::string& Flags::Text(absl::string_view name) const {
  static const std::string* const kNone = new std::string;
  return Has(name) ? Values(name)[0] : *kNone;
}

int64_t Flags::Int(absl::string_view name) const {
  int64_t number = 0;
  if (!absl::SimpleAtoi(Text(name), &number)) NotInTable(name);
  return number;
}

absl::Duration Flags::Duration(absl::string_view name) const {
  const absl::StatusOr<absl::Duration> duration = ParseDuration(Text(name));
  if (!duration.ok()) NotInTable(name);
  return *duration;
}

absl::Time Flags::Time(absl::string_view name, absl::Time now) const {
  const absl::StatusOr<absl::Time> time = ParseTime(Text(name), now, zone_);
  if (!time.ok()) NotInTable(name);
  return *time;
}

absl::Status CheckAtMostOne(const Flags& flags, const std::vector<std::string>& names) {
  const std::string* first = nullptr;
  for (const std::string& name : names) {
    if (!flags.Given(name)) continue;
    if (first != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", *first, " and --", name, " contradict each other: give one of them"));
    }
    first = &name;
  }
  return absl::OkStatus();
}

std::vector<std::string> DoubtsAbout(const std::vector<FlagSpec>& specs, const Flags& flags) {
  std::vector<std::string> doubts;
  for (const FlagSpec& spec : specs) {
    if (spec.usual.empty()) continue;
    for (const std::string& value : flags.List(spec.name)) {
      if (IsAmong(value, spec.usual)) continue;
      const std::string nearest = Nearest(value, spec.usual);
      if (nearest.empty()) continue;
      doubts.push_back(absl::StrCat("--", spec.name, " ", value,
                                    " is taken as it is; did you mean ", nearest, "?"));
    }
  }
  return doubts;
}

}  // namespace hookgate::cli
