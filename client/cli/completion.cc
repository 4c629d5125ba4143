#include "client/cli/completion.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace hookgate::cli {
namespace {

// A word that may stand next on the command line, and what it is for.
using Word = std::pair<std::string, std::string>;

// What all three shells complete, taken from the table once.
struct Words {
  std::vector<Word> top;                                          // after `hookgate`
  std::vector<std::pair<std::string, std::vector<Word>>> groups;  // after `hookgate GROUP`
};

Words WordsOf(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups) {
  Words words;
  for (const Command& command : commands) {
    if (!absl::StrContains(command.name, ' ')) {
      words.top.emplace_back(command.name, command.summary);
    }
  }
  for (const CommandGroup& group : groups) {
    words.top.emplace_back(group.name, group.summary);
    std::vector<Word>& of_group = words.groups.emplace_back(group.name, std::vector<Word>()).second;
    for (const Command& command : commands) {
      absl::string_view name = command.name;
      if (absl::ConsumePrefix(&name, absl::StrCat(group.name, " "))) {
        of_group.emplace_back(std::string(name), command.summary);
      }
    }
  }
  words.top.emplace_back("help", "Explain a command");
  return words;
}

// Whether the value is the name of a file or folder.
bool TakesFile(const FlagSpec& flag) { return absl::EndsWith(flag.value, "FILE"); }
bool TakesFiles(const Command& command) {
  return absl::StrContains(command.arguments.usage, "DIR");
}
bool TakesValue(const FlagSpec& flag) { return flag.kind != FlagKind::kBool; }

// `text` as one word of any of the three shells, which all take what is in single quotes as it is.
// Fish takes \' within them; the others need the quotes closed for it.
std::string Quoted(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}
std::string QuotedForFish(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string NamesOf(const std::vector<Word>& words) {
  return absl::StrJoin(words, " ", [](std::string* out, const Word& word) { *out += word.first; });
}

// A help text begins with a sentence that says what the flag is for; a line has no room for more.
std::string FirstSentence(absl::string_view text) {
  const size_t end = text.find(". ");
  if (end != absl::string_view::npos) text = text.substr(0, end);
  absl::ConsumeSuffix(&text, ".");
  return std::string(text);
}

// One arm of bash's `case` over the word before: what `flag` takes.
std::string BashValue(const FlagSpec& flag) {
  std::string what = ":";
  if (flag.kind == FlagKind::kChoice)
    what = absl::StrCat("words='", absl::StrJoin(flag.choices, " "), "'");
  if (TakesFile(flag)) what = "files=yes";
  return absl::StrCat("        --", flag.name, ") value=yes; ", what, " ;;\n");
}

std::string BashArm(const Command& command) {
  std::string flags;
  std::string values;
  for (const FlagSpec& flag : command.flags) {
    absl::StrAppend(&flags, "--", flag.name, " ");
    if (TakesValue(flag)) absl::StrAppend(&values, BashValue(flag));
  }
  return absl::StrCat("    ", Quoted(command.name), ")\n      flags='", flags, "--help'\n",
                      TakesFiles(command) ? "      arguments=files\n" : "",
                      "      case $previous in\n", values, "      esac\n      ;;\n");
}

constexpr char kBashHead[] = R"(# Completes hookgate in bash; made by `hookgate completion bash`.
_hookgate() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
  local command=${COMP_WORDS[1]} flags= words= files= value= arguments=
  COMPREPLY=()
  # bash hands --flag=value over as three words.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $previous == '=' ]]; then
    previous=${COMP_WORDS[COMP_CWORD-2]}
  fi
)";

constexpr char kBashTail[] = R"(  esac
  if [[ $value && ! $files && ! $words ]]; then
    return
  fi
  if [[ $files || ( $arguments && $current != -* && ! $words ) ]]; then
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
  elif [[ $words || $current == -* ]]; then
    COMPREPLY=($(compgen -W "${words:-$flags}" -- "$current"))
  fi
}
complete -F _hookgate hookgate
)";

// `text` within [...] of a specification of zsh's _arguments.
std::string ZshBracket(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"[", "\\["}, {"]", "\\]"}});
}
// `text` between the colons of one.
std::string ZshMessage(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {":", "\\:"}});
}

std::string ZshFlag(const FlagSpec& flag) {
  const std::string head =
      absl::StrCat(flag.repeated ? "*" : "", "--", flag.name, TakesValue(flag) ? "=" : "", "[",
                   ZshBracket(FirstSentence(flag.help)), "]");
  if (!TakesValue(flag)) return Quoted(head);
  if (flag.kind == FlagKind::kChoice) {
    return Quoted(absl::StrCat(head, ":", flag.name, ":(", absl::StrJoin(flag.choices, " "), ")"));
  }
  return Quoted(
      absl::StrCat(head, ":", ZshMessage(flag.value), ":", TakesFile(flag) ? "_files" : " "));
}

std::string ZshArm(const Command& command) {
  std::string arm = absl::StrCat("    (", Quoted(command.name), ")\n      _arguments");
  for (const FlagSpec& flag : command.flags) absl::StrAppend(&arm, " \\\n        ", ZshFlag(flag));
  absl::StrAppend(&arm, " \\\n        ", Quoted("(- *)--help[Explain the command]"));
  if (command.arguments.most > 0) {
    absl::StrAppend(&arm, " \\\n        ",
                    Quoted(absl::StrCat("*:", ZshMessage(command.arguments.usage), ":",
                                        TakesFiles(command) ? "_files" : " ")));
  }
  return absl::StrCat(arm, "\n      ;;\n");
}

// Lines of an array for zsh's _describe.
std::string ZshWords(const std::vector<Word>& words, absl::string_view indent) {
  std::string text;
  for (const auto& [name, meaning] : words) {
    absl::StrAppend(&text, indent, Quoted(absl::StrCat(name, ":", ZshMessage(meaning))), "\n");
  }
  return text;
}

std::string FishFlag(const Command& command, const FlagSpec& flag) {
  std::string line =
      absl::StrCat("complete -c hookgate -n '__hookgate_is ", command.name, "' -l ", flag.name);
  if (flag.kind == FlagKind::kChoice) {
    absl::StrAppend(&line, " -x -a ", QuotedForFish(absl::StrJoin(flag.choices, " ")));
  } else if (TakesFile(flag)) {
    absl::StrAppend(&line, " -r -F");
  } else if (TakesValue(flag)) {
    absl::StrAppend(&line, " -x");
  }
  return absl::StrCat(line, " -d ", QuotedForFish(FirstSentence(flag.help)), "\n");
}

constexpr char kFishHead[] = R"(# Completes hookgate in fish; made by `hookgate completion fish`.
function __hookgate_is --description 'Whether the command line begins with these words'
    set -l words (commandline -opc)
    set -e words[1]
    test (count $words) -ge (count $argv); or return 1
    for i in (seq (count $argv))
        test "$words[$i]" = "$argv[$i]"; or return 1
    end
    return 0
end
function __hookgate_needs --description 'Whether a command comes next, behind these words'
    __hookgate_is $argv; and test (count (commandline -opc)) -eq (math (count $argv) + 1)
end
complete -c hookgate -f
complete -c hookgate -l help -d 'Explain the command'
)";

}  // namespace

std::string BashCompletion(const std::vector<Command>& commands,
                           const std::vector<CommandGroup>& groups) {
  const Words words = WordsOf(commands, groups);
  const std::string top = NamesOf(words.top);
  std::string text =
      absl::StrCat(kBashHead, "  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W '", top,
                   " --help --version' -- \"$current\"))\n    return\n  fi\n  case $command in\n");
  for (const auto& [group, of_group] : words.groups) {
    absl::StrAppend(&text, "    ", group, ")\n      words='", NamesOf(of_group), "' ;;\n");
  }
  absl::StrAppend(&text, R"(  esac
  if [[ $words ]]; then
    if ((COMP_CWORD == 2)); then
      COMPREPLY=($(compgen -W "$words" -- "$current"))
      return
    fi
    command="$command ${COMP_WORDS[2]}" words=
  fi
  case $command in
    help)
      if ((COMP_CWORD == 2)); then words=')",
                  top, "'; fi\n      ;;\n");
  for (const Command& command : commands) absl::StrAppend(&text, BashArm(command));
  return absl::StrCat(text, kBashTail);
}

std::string ZshCompletion(const std::vector<Command>& commands,
                          const std::vector<CommandGroup>& groups) {
  const Words words = WordsOf(commands, groups);
  std::string text = absl::StrCat(
      "#compdef hookgate\n# Completes hookgate in zsh; made by `hookgate completion zsh`.\n"
      "_hookgate() {\n  local command=$words[2]\n  local -a commands\n  commands=(\n",
      ZshWords(words.top, "    "),
      "  )\n  if (( CURRENT == 2 )); then\n    _describe -t commands command commands\n    return\n"
      "  fi\n  case $command in\n    (help)\n"
      "      (( CURRENT == 3 )) && _describe -t commands command commands\n      return\n      "
      ";;\n");
  for (const auto& [group, of_group] : words.groups) {
    absl::StrAppend(&text, "    (", group, ")\n      commands=(\n", ZshWords(of_group, "        "),
                    "      )\n      if (( CURRENT == 3 )); then\n"
                    "        _describe -t commands command commands\n        return\n      fi\n"
                    "      command=\"$command $words[3]\"\n      shift words\n"
                    "      (( CURRENT-- ))\n      ;;\n");
  }
  absl::StrAppend(&text, "  esac\n  shift words\n  (( CURRENT-- ))\n  case $command in\n");
  for (const Command& command : commands) absl::StrAppend(&text, ZshArm(command));
  return absl::StrCat(
      text,
      "  esac\n}\n"
      "# From a folder of completions this file is the function; by `source` it is not.\n"
      "if [[ $funcstack[1] == _hookgate ]]; then\n  _hookgate \"$@\"\nelse\n"
      "  compdef _hookgate hookgate\nfi\n");
}

std::string FishCompletion(const std::vector<Command>& commands,
                           const std::vector<CommandGroup>& groups) {
  const Words words = WordsOf(commands, groups);
  std::string text = kFishHead;
  const auto add_words = [&text](absl::string_view after, const std::vector<Word>& next) {
    for (const auto& [name, meaning] : next) {
      absl::StrAppend(&text, "complete -c hookgate -n '__hookgate_needs", after.empty() ? "" : " ",
                      after, "' -a ", name, " -d ", QuotedForFish(meaning), "\n");
    }
  };
  add_words("", words.top);
  absl::StrAppend(&text, "complete -c hookgate -n __hookgate_needs -l version -d 'The version'\n");
  for (const auto& [group, of_group] : words.groups) add_words(group, of_group);
  add_words("help", words.top);
  for (const Command& command : commands) {
    for (const FlagSpec& flag : command.flags) absl::StrAppend(&text, FishFlag(command, flag));
    if (TakesFiles(command)) {
      absl::StrAppend(&text, "complete -c hookgate -n '__hookgate_is ", command.name, "' -F\n");
    }
  }
  return text;
}

}  // namespace hookgate::cli
