#include "client/cli/commands/exec_command.h"

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace hookgate::cli {
namespace {

constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

// Whether a word of a command only says how another one is run, or reads a program from its
// standard input, where the event is: a stranger's text.
bool IsRunner(absl::string_view word) {
  static const auto* const kRunners = new std::set<absl::string_view>{
      "exec",  "eval",   "command", "env",  "nohup", "time",   "nice", "ionice",
      "xargs", "setsid", "\\",      "sh",   "bash",  "dash",   "ksh",  "zsh",
      "perl",  "node",   "python",  "ruby", "php",   "python3"};
  return kRunners->count(word.substr(word.rfind('/') + 1)) > 0;
}

// Whether it only says where another one reads and writes.
bool IsRedirection(absl::string_view word) {
  word.remove_prefix(std::min(word.find_first_not_of("0123456789"), word.size()));
  return !word.empty() && (word[0] == '<' || word[0] == '>');
}

// Whether it only says what another one finds set.
bool IsAssignment(absl::string_view word) {
  const size_t name = word.find_first_not_of(kLetters);
  return name != absl::string_view::npos && name > 0 && word[name] == '=';
}

// Of commands for the shell itself, such as the first of "cd /app; ".
bool ChangesTheShellAlone(absl::string_view word) {
  static const auto* const kCommands = new std::set<absl::string_view>{
      "cd", "umask", "set", "export", "unset", "ulimit", "readonly"};
  return kCommands->count(word) > 0;
}

// Of a part of a command without `;`, quotes and the like: the name of what it runs, and what that
// gets. None if it runs nothing.
std::vector<absl::string_view> ProgramOf(absl::string_view part) {
  std::vector<absl::string_view> program;
  bool is_target = false;  // of a redirection that ended with the word before
  bool is_run = false;     // by the word before, or one before that
  for (const absl::string_view word :
       absl::StrSplit(part, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
    const bool is_of_redirection = is_target || IsRedirection(word);
    is_target = !is_target && (word.back() == '<' || word.back() == '>');
    if (is_of_redirection) continue;
    if (program.empty()) {
      if (IsAssignment(word) || (is_run && word[0] == '-')) continue;
      if (IsRunner(word)) {
        is_run = true;
        continue;
      }
      if (!is_run && ChangesTheShellAlone(word)) return {};
    }
    program.push_back(word);
  }
  return program;
}

// Its parts, as far as they can be told apart without understanding them.
std::vector<std::string> PartsOf(absl::string_view command, const char* separators) {
  std::vector<std::string> parts;
  for (absl::string_view part : absl::StrSplit(command, absl::ByAnyChar(separators))) {
    part = absl::StripAsciiWhitespace(part);
    if (part.empty() || part[0] == '#') continue;
    parts.push_back(absl::StrReplaceAll(part, {{">&", ">"}, {"<&", "<"}}));
  }
  return parts;
}

// Of what people write and forget: blanks, comments, and what stands around a variable that was
// empty, such as "cd /app; exec $HANDLER >> log". A line that holds more than words is believed.
bool NamesNoProgram(absl::string_view command) {
  for (const std::string& part : PartsOf(command, "\n;")) {
    if (part.find_first_of("|&`'\"(){}$") != std::string::npos) return false;
    if (!ProgramOf(part).empty()) return false;
  }
  return true;
}

// NAME of $NAME, ${NAME}, and either in quotation marks. "" if it is anything else.
absl::string_view VariableOf(absl::string_view word) {
  if (absl::ConsumePrefix(&word, "\"") && !absl::ConsumeSuffix(&word, "\"")) return "";
  if (!absl::ConsumePrefix(&word, "$")) return "";
  if (absl::ConsumePrefix(&word, "{") && !absl::ConsumeSuffix(&word, "}")) return "";
  const bool is_name = !word.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(word[0])) &&
                       word.find_first_not_of(kLetters) == absl::string_view::npos;
  return is_name ? word : "";
}

// The variables of which it takes the value as it is, each once.
std::set<std::string> VariablesIn(absl::string_view command) {
  std::set<std::string> names;
  for (size_t at = command.find('$'); at != absl::string_view::npos;
       at = command.find('$', at + 1)) {
    const absl::string_view rest = command.substr(at + 1);
    const size_t name = rest.empty() || rest[0] != '{' ? 0 : 1;
    const size_t end = std::min(rest.find_first_not_of(kLetters, name), rest.size());
    // With the brace that ends it, unless it says what stands for it if it is missing.
    const absl::string_view word = command.substr(at, 1 + end + name);
    const absl::string_view variable = VariableOf(word);
    if (!variable.empty()) names.emplace(variable);
  }
  return names;
}

// Whether the command itself may set it: its name stands there without a `$`.
bool MaySet(absl::string_view command, const std::string& variable) {
  for (size_t at = command.find(variable); at != absl::string_view::npos;
       at = command.find(variable, at + 1)) {
    const char before = at == 0 ? ' ' : command[at - 1];
    if (before != '$' && before != '{') return true;
  }
  return false;
}

// Whether it may set what it does not name, or what looks like a variable may be none.
bool HidesItsVariables(absl::string_view command) {
  if (command.find_first_of("'`\\#") != absl::string_view::npos) return true;
  if (absl::StrContains(command, "<<")) return true;
  for (const absl::string_view word :
       absl::StrSplit(command, absl::ByAnyChar(" \t\n;|&(){}"), absl::SkipEmpty())) {
    if (word == "." || word == "source" || word == "eval") return true;
  }
  return false;
}

// By the shell, which sets some itself.
bool Holds(const std::string& condition, ProgramInput sample) {
  sample.in.clear();
  return RunShell(condition, sample).succeeded();
}

// In a pipeline it would fail a part whose end does not count; elsewhere each event.
std::string ProblemOfUnsetVariables(const std::string& command, const ProgramInput& sample) {
  for (const std::string& variable : VariablesIn(command)) {
    if (MaySet(command, variable)) continue;
    if (Holds(absl::StrCat(": \"$", variable, "\""), sample)) continue;
    return absl::StrCat("the variable ", variable, " in it is not set: export it, or write ${",
                        variable, ":-} if it may be missing");
  }
  return "";
}

// Where all that is to be run is variables, and nothing is in them: "$HANDLER | tee log".
std::string ProblemOfEmptyVariables(const std::string& command, const ProgramInput& sample) {
  for (const std::string& part : PartsOf(command, "\n;|&")) {
    const std::vector<absl::string_view> program = ProgramOf(part);
    const bool is_variables =
        !program.empty() && std::all_of(program.begin(), program.end(), [&](auto word) {
          const std::string variable(VariableOf(word));
          return !variable.empty() && !MaySet(command, variable);
        });
    if (!is_variables) continue;
    const std::string words = absl::StrReplaceAll(absl::StrJoin(program, " "), {{"\"", ""}});
    if (Holds(absl::StrCat("set -- ", words, "; test $# -gt 0"), sample)) continue;
    return absl::StrCat("it is to run ", words,
                        ", which is empty: nothing would handle the events");
  }
  return "";
}

}  // namespace

std::string ProblemOfCommand(const std::string& command, const ProgramInput& sample) {
  if (NamesNoProgram(command)) {
    return "it names no program: every event would be acked, or read as a program; "
           "was a variable in it empty?";
  }
  // By the shell that runs it, and by its standard input, which takes it however long it is.
  const ProgramResult parsed = RunShell("exec /bin/sh -n", {.in = command});
  if (!parsed.succeeded()) {
    return absl::StrCat(parsed.end == ProgramResult::End::kNotStarted
                            ? "the shell cannot be started: "
                            : "the shell does not understand it: ",
                        parsed.reason);
  }
  if (HidesItsVariables(command)) return "";
  const std::string unset = ProblemOfUnsetVariables(command, sample);
  return unset.empty() ? ProblemOfEmptyVariables(command, sample) : unset;
}

}  // namespace hookgate::cli
