#include "client/cli/man_page.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace hookgate::cli {
namespace {

// `text` as it is: a "-" that can be copied into a shell, and nothing that troff takes for a
// command.
std::string Escaped(absl::string_view text) {
  const std::string escaped =
      absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"^", "\\(ha"}, {"~", "\\(ti"}});
  const bool is_command = absl::StartsWith(escaped, ".") || absl::StartsWith(escaped, "'");
  return absl::StrCat(is_command ? "\\&" : "", escaped);
}

std::string Bold(absl::string_view text) { return absl::StrCat("\\fB", Escaped(text), "\\fR"); }
std::string Italic(absl::string_view text) { return absl::StrCat("\\fI", Escaped(text), "\\fR"); }

std::string Paragraphs(absl::string_view text) {
  return absl::StrJoin(absl::StrSplit(text, "\n\n"), ".PP\n",
                       [](std::string* out, absl::string_view paragraph) {
                         absl::StrAppend(out, Escaped(paragraph), "\n");
                       });
}

// A term, in troff already, and under it what it means.
std::string Entry(absl::string_view term, absl::string_view meaning) {
  return absl::StrCat(".TP\n", term, "\n", Escaped(meaning), "\n");
}

std::string FlagEntry(const FlagSpec& flag) {
  std::string term = Bold(absl::StrCat("--", flag.name));
  if (flag.kind == FlagKind::kChoice) {
    absl::StrAppend(&term, " ", Escaped(absl::StrJoin(flag.choices, "|")));
  } else if (!flag.value.empty()) {
    absl::StrAppend(&term, " ", Italic(flag.value));
  }
  if (flag.repeated) absl::StrAppend(&term, " ...");
  std::string meaning = flag.help;
  if (!flag.variable.empty() && !flag.default_value.empty()) {
    absl::StrAppend(&meaning, " Default: $", flag.variable, ", else ", flag.default_value, ".");
  } else if (!flag.variable.empty()) {
    absl::StrAppend(&meaning, " Default: $", flag.variable, ".");
  } else if (!flag.default_value.empty()) {
    absl::StrAppend(&meaning, " Default: ", flag.default_value, ".");
  }
  return Entry(term, meaning);
}

std::string Section(const Command& command) {
  std::string usage = Bold(absl::StrCat("hookgate ", command.name));
  if (!command.arguments.usage.empty()) {
    absl::StrAppend(&usage, " ", Italic(command.arguments.usage));
  }
  std::string text =
      absl::StrCat(".SS ", usage, " [", Italic("flags"), "]\n", Escaped(command.summary),
                   ".\n.PP\n", Paragraphs(command.description));
  for (const FlagSpec& flag : command.flags) absl::StrAppend(&text, FlagEntry(flag));
  if (!command.examples.empty()) absl::StrAppend(&text, ".PP\nExamples:\n");
  for (const Command::Example& example : command.examples) {
    absl::StrAppend(&text, Entry(Bold(example.line), example.meaning));
  }
  absl::StrAppend(&text, ".PP\nExit codes:\n");
  for (const Command::Exit& exit : command.exits) {
    absl::StrAppend(&text, Entry(Bold(absl::StrCat(exit.code)), exit.meaning));
  }
  return text;
}

// Each variable that a flag takes its value from, and that flag.
std::string Variables(const std::vector<Command>& commands) {
  std::map<std::string, std::string> flags;
  for (const Command& command : commands) {
    for (const FlagSpec& flag : command.flags) {
      if (!flag.variable.empty()) flags.emplace(flag.variable, flag.name);
    }
  }
  std::string text;
  for (const auto& [variable, flag] : flags) {
    absl::StrAppend(&text, Entry(Bold(variable),
                                 absl::StrCat("The value of --", flag, ", if it is not given.")));
  }
  return text;
}

}  // namespace

std::string ManPage(const std::vector<Command>& commands, const std::vector<CommandGroup>& groups,
                    absl::string_view version) {
  std::string text = absl::StrCat(
      ".\\\" Made by `hookgate man`.\n.TH HOOKGATE 1 \"\" \"hookgate ", Escaped(version),
      "\" \"Hookgate\"\n.nh\n.SH NAME\n",
      "hookgate \\- subscribe to, query and operate a Hookgate gateway, send test webhooks\n",
      ".SH SYNOPSIS\n", Bold("hookgate"), " ", Italic("command"), " [", Italic("flags"), "]\n.br\n",
      Bold("hookgate help"), " [", Italic("command"), "]\n.br\n", Bold("hookgate --version"), "\n",
      ".SH DESCRIPTION\n",
      Paragraphs(
          "A gateway, hookgated, takes signed webhooks in over HTTP, stores them and streams "
          "them as typed events over gRPC. This program is a client of its gRPC port, and "
          "of its HTTP port where it sends test webhooks.\n\n"
          "A flag takes its value as --flag value or as --flag=value."),
      ".SH COMMANDS\n");
  for (const Command& command : commands) {
    if (!absl::StrContains(command.name, ' ')) absl::StrAppend(&text, Section(command));
  }
  for (const CommandGroup& group : groups) {
    absl::StrAppend(&text, ".SH ", absl::StrCat("\"COMMANDS OF ", Escaped(group.name), "\"\n"),
                    Escaped(group.summary), ".\n.PP\n", Paragraphs(group.description));
    for (const Command& command : commands) {
      if (absl::StartsWith(command.name, absl::StrCat(group.name, " "))) {
        absl::StrAppend(&text, Section(command));
      }
    }
  }
  absl::StrAppend(
      &text, ".SH ENVIRONMENT\n", Variables(commands),
      Entry(Bold("HOOKGATE_TOKEN"),
            "The token by which the gateway knows the caller, unless --token-file names "
            "a file that holds it."),
      Entry(Bold("NO_COLOR"), "If set, nothing is coloured."), ".SH SEE ALSO\n", Bold("hookgated"),
      "(8)\n");
  return text;
}

}  // namespace hookgate::cli
