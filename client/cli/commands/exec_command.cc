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
#include "absl/types/optional.h"

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

// Around parts of a command, or before one.
bool IsBracket(absl::string_view word) { return word == "{" || word == "}" || word == "!"; }

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
      if (IsBracket(word) || IsAssignment(word) || (is_run && word[0] == '-')) continue;
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
    if (!part.empty() && part[0] != '#') parts.emplace_back(part);
  }
  return parts;
}

// Of what people write and forget: blanks, comments, and what stands around a variable that was
// empty, such as "cd /app; exec $HANDLER >> log". A line that holds more than words is believed.
bool NamesNoProgram(absl::string_view command) {
  const std::string redirected = absl::StrReplaceAll(command, {{">&", ">"}, {"<&", "<"}});
  for (const std::string& part : PartsOf(redirected, "\n;")) {
    if (part.find_first_of("|&`'\"(){}$") != std::string::npos) return false;
    if (!ProgramOf(part).empty()) return false;
  }
  return true;
}

// The command with a "q" in place of what stands in single quotes, where nothing is a variable, and
// without comments. nullopt: it holds what would have to be understood for that.
absl::optional<std::string> WithoutLiterals(absl::string_view command) {
  if (command.find_first_of("`\\") != absl::string_view::npos) return absl::nullopt;
  if (absl::StrContains(command, "<<")) return absl::nullopt;
  std::string plain;
  bool is_quoted = false;  // by double quotes
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool begins = plain.empty() || absl::StrContains(" \t\n;|&(", plain.back());
    if (c == '"') is_quoted = !is_quoted;
    if (is_quoted || (c != '\'' && !(c == '#' && begins))) {
      plain.push_back(c);
      continue;
    }
    const size_t end = command.find(c == '#' ? '\n' : c, i + 1);
    if (c == '\'') plain.push_back('q');
    if (end == absl::string_view::npos) break;
    i = c == '#' ? end - 1 : end;
  }
  return plain;
}

// Takes a variable off the front of `text`: $NAME or ${NAME}, and as well ${NAME-} and ${NAME:-}.
// "" if none is there.
absl::string_view TakeVariable(absl::string_view& text) {
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "$")) return "";
  const bool has_brace = absl::ConsumePrefix(&rest, "{");
  const size_t size = std::min(rest.find_first_not_of(kLetters), rest.size());
  const absl::string_view name = rest.substr(0, size);
  if (name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) return "";
  rest.remove_prefix(size);
  if (has_brace) {
    absl::ConsumePrefix(&rest, ":");
    absl::ConsumePrefix(&rest, "-");
    if (!absl::ConsumePrefix(&rest, "}")) return "";
  }
  text = rest;
  return name;
}

// All of which `text` takes the value.
std::set<std::string> VariablesIn(absl::string_view text) {
  std::set<std::string> variables;
  for (size_t at = text.find('$'); at != absl::string_view::npos; at = text.find('$', at + 1)) {
    absl::string_view rest = text.substr(at);
    const absl::string_view variable = TakeVariable(rest);
    if (!variable.empty()) variables.emplace(variable);
  }
  return variables;
}

// Whether the command itself may set it, or looks whether it is set: its name stands there
// otherwise than as $NAME or ${NAME}.
bool IsCaredFor(absl::string_view command, const std::string& variable) {
  for (size_t at = command.find(variable); at != absl::string_view::npos;
       at = command.find(variable, at + 1)) {
    const absl::string_view before = command.substr(0, at);
    const absl::string_view behind = command.substr(at + variable.size());
    const bool is_value = absl::EndsWith(before, "$") ||
                          (absl::EndsWith(before, "${") && absl::StartsWith(behind, "}"));
    if (!is_value) return true;
  }
  // By `cd` and by `getopts`.
  return variable == "OLDPWD" || variable == "OPTARG";
}

// Whether it sets what it does not name: `. file`, `export $(cat file)`.
bool SetsOthers(absl::string_view command) {
  if (absl::StrContains(command, "export $")) return true;
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
std::string ProblemOfUnsetVariables(const std::string& command, absl::string_view plain,
                                    const ProgramInput& sample) {
  if (SetsOthers(plain)) return "";
  for (const std::string& variable : VariablesIn(plain)) {
    if (IsCaredFor(command, variable)) continue;
    if (Holds(absl::StrCat(": \"$", variable, "\""), sample)) continue;
    return absl::StrCat("the variable ", variable, " in it is not set: export it, or write ${",
                        variable, ":-} if it may be missing");
  }
  return "";
}

// Whether `word` is variables and nothing else, perhaps in quotation marks.
bool IsVariables(absl::string_view word) {
  if (absl::ConsumePrefix(&word, "\"") && !absl::ConsumeSuffix(&word, "\"")) return false;
  if (word.empty()) return false;
  while (!word.empty()) {
    if (TakeVariable(word).empty()) return false;
  }
  return true;
}

// What is to be run, if that is variables alone and nothing is in them; otherwise "".
std::string EmptyProgram(const std::string& command, const std::string& part,
                         const ProgramInput& sample) {
  const std::vector<absl::string_view> program = ProgramOf(part);
  if (program.empty() || !std::all_of(program.begin(), program.end(), IsVariables)) return "";
  const std::string words = absl::StrReplaceAll(absl::StrJoin(program, " "), {{"\"", ""}});
  if (absl::StrContains(command, "read")) return "";
  for (const std::string& variable : VariablesIn(words)) {
    if (absl::StrContains(command, variable + "=")) return "";
  }
  return Holds(absl::StrCat("set -- ", words, "; test $# -gt 0"), sample) ? "" : words;
}

// With a blank before each redirection that has none, such as that of "$HANDLER>log".
std::string WithSpacedRedirections(absl::string_view command) {
  std::string spaced;
  for (const char c : command) {
    const char before = spaced.empty() ? ' ' : spaced.back();
    const bool is_first = !absl::ascii_isdigit(static_cast<unsigned char>(before)) &&
                          !absl::StrContains(" <>", before);
    if ((c == '<' || c == '>') && is_first) spaced.push_back(' ');
    spaced.push_back(c);
  }
  return spaced;
}

// Where all that is to be run, or a part of a pipeline, is variables, and nothing is in them:
// "$HANDLER | tee log".
std::string ProblemOfEmptyVariables(const std::string& command, absl::string_view plain,
                                    const ProgramInput& sample) {
  if (absl::StrContains(plain, "$(")) return "";
  const std::string separated = WithSpacedRedirections(absl::StrReplaceAll(
      plain, {{"||", ";"}, {"&&", ";"}, {"(", " "}, {")", " "}, {">&", ">"}, {"<&", "<"}}));
  std::string empty;
  for (const std::string& pipeline : PartsOf(separated, "\n;&")) {
    const std::vector<std::string> parts = PartsOf(pipeline, "|");
    for (const std::string& part : parts) {
      const std::string words = EmptyProgram(command, part, sample);
      if (words.empty() && parts.size() == 1 && !ProgramOf(part).empty()) return "";
      if (!words.empty()) empty = words;
    }
    if (parts.size() > 1 && empty.empty()) return "";
  }
  return empty.empty() ? ""
                       : absl::StrCat("it is to run ", empty,
                                      ", which is empty: nothing would handle the events");
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
  const absl::optional<std::string> plain = WithoutLiterals(command);
  if (!plain.has_value()) return "";
  const std::string unset = ProblemOfUnsetVariables(command, *plain, sample);
  return unset.empty() ? ProblemOfEmptyVariables(command, *plain, sample) : unset;
}

}  // namespace hookgate::cli
