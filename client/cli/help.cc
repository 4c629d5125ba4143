#include "client/cli/help.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace hookgate::cli {
namespace {

constexpr size_t kLineWidth = 90;
constexpr size_t kNameWidth = 17;  // Of a command's name in an overview.

// The words of `text` in lines that all begin with `indent` blanks.
std::string Wrapped(absl::string_view text, size_t indent) {
  std::string result;
  std::string line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > kLineWidth) {
      absl::StrAppend(&result, std::string(indent, ' '), line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  if (!line.empty()) absl::StrAppend(&result, std::string(indent, ' '), line, "\n");
  return result;
}

// `term`, and beside it `text`, whose lines begin at column `indent`.
std::string Entry(absl::string_view term, absl::string_view text, size_t indent) {
  const std::string block = Wrapped(text, indent);
  std::string head = absl::StrCat("  ", term);
  if (head.size() + 2 > indent) return absl::StrCat(head, "\n", block);
  head.resize(indent, ' ');
  return absl::StrCat(head, block.substr(std::min(indent, block.size())));
}

// Each followed by an empty line.
std::string Paragraphs(absl::string_view text) {
  std::string result;
  for (absl::string_view paragraph : absl::StrSplit(text, "\n\n")) {
    absl::StrAppend(&result, Wrapped(paragraph, 0), "\n");
  }
  return result;
}

std::string FlagTerm(const FlagSpec& flag) {
  std::string value = flag.value;
  if (flag.kind == FlagKind::kChoice) value = absl::StrJoin(flag.choices, "|");
  return absl::StrCat("--", flag.name, value.empty() ? "" : " ", value,
                      flag.repeated ? " ..." : "");
}

std::string FlagText(const FlagSpec& flag) {
  std::string text = flag.help;
  if (!flag.variable.empty() && !flag.default_value.empty()) {
    absl::StrAppend(&text, " Default: $", flag.variable, ", else ", flag.default_value, ".");
  } else if (!flag.default_value.empty()) {
    absl::StrAppend(&text, " Default: ", flag.default_value, ".");
  }
  return text;
}

}  // namespace

std::string Overview(const std::vector<Command>& commands,
                     const std::vector<CommandGroup>& groups) {
  std::string text =
      "hookgate: subscribes to, queries and operates a Hookgate gateway, sends test webhooks.\n"
      "\n"
      "Usage: hookgate COMMAND [flags]\n"
      "\n"
      "Commands:\n";
  for (const Command& command : commands) {
    const bool in_group = absl::StrContains(command.name, ' ');
    if (!in_group) absl::StrAppend(&text, Entry(command.name, command.summary, kNameWidth));
  }
  for (const CommandGroup& group : groups) {
    absl::StrAppend(&text, Entry(group.name, group.summary, kNameWidth));
  }
  absl::StrAppend(&text, Entry("help", "Explain a command: hookgate help COMMAND", kNameWidth));
  absl::StrAppend(
      &text,
      "\n"
      "`hookgate COMMAND --help` explains the command's flags and exit codes, with examples.\n"
      "`hookgate --version` prints the version.\n"
      "\n"
      "The gateway is found at $HOOKGATE_GRPC (default 127.0.0.1:50051), or where --grpc says; "
      "for\n"
      "send, at $HOOKGATE_URL (default http://127.0.0.1:8080), or where --url says.\n");
  return text;
}

std::string OverviewOf(const CommandGroup& group, const std::vector<Command>& commands) {
  std::string text = absl::StrCat("hookgate ", group.name, ": ", group.summary, "\n\n",
                                  Paragraphs(group.description), "Usage: hookgate ", group.name,
                                  " COMMAND [flags]\n\nCommands:\n");
  for (const Command& command : commands) {
    absl::string_view name = command.name;
    if (!absl::ConsumePrefix(&name, absl::StrCat(group.name, " "))) continue;
    absl::StrAppend(&text, Entry(name, command.summary, kNameWidth));
  }
  return absl::StrCat(text, "\n`hookgate ", group.name,
                      " COMMAND --help` explains one, with examples.\n");
}

std::string HelpOf(const Command& command) {
  std::string text = absl::StrCat("hookgate ", command.name, ": ", command.summary, "\n\n");
  const std::string& arguments = command.arguments.usage;
  absl::StrAppend(&text, Paragraphs(command.description), "Usage: hookgate ", command.name,
                  arguments.empty() ? "" : " ", arguments, " [flags]\n\nFlags:\n");
  for (const FlagSpec& flag : command.flags) {
    absl::StrAppend(&text, Entry(FlagTerm(flag), FlagText(flag), 30));
  }
  absl::StrAppend(&text, Entry("--help, -h", "Print this.", 30), "\nExamples:\n");
  for (const Command::Example& example : command.examples) {
    absl::StrAppend(&text, "  ", example.line, "\n", Wrapped(example.meaning, 6));
  }
  absl::StrAppend(&text, "\nExit codes:\n");
  for (const Command::Exit& exit : command.exits) {
    absl::StrAppend(&text, Entry(absl::StrCat(exit.code), exit.meaning, 7));
  }
  return text;
}

}  // namespace hookgate::cli
