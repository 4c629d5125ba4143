#include "client/cli/help.h"

#include "absl/strings/str_split.h"
#include "client/cli/commands/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

TEST(HelpTest, ShowsAllThatThereIsToKnow) {
  const Command command = {
      .name = "fetch",
      .summary = "Fetch a thing",
      .description = "First paragraph.\n\nSecond one.",
      .flags = {{.name = "limit",
                 .kind = FlagKind::kInt,
                 .value = "N",
                 .help = "At most so many.",
                 .default_value = "50"},
                {.name = "grpc",
                 .value = "HOST:PORT",
                 .help = "Where.",
                 .default_value = "here:1",
                 .variable = "HOOKGATE_GRPC"},
                {.name = "type", .value = "TYPE", .help = "Only these.", .repeated = true},
                {.name = "order",
                 .kind = FlagKind::kChoice,
                 .help = "Which first.",
                 .choices = {"newest", "oldest"}},
                {.name = "a-flag-with-a-very-long-name", .kind = FlagKind::kBool, .help = "Long."}},
      .examples = {{"hookgate fetch --limit 1", "One."}},
      .exits = {{0, "Fine."}, {130, "Interrupted."}},
      .run = nullptr};
  EXPECT_EQ(HelpOf(command),
            "hookgate fetch: Fetch a thing\n"
            "\n"
            "First paragraph.\n"
            "\n"
            "Second one.\n"
            "\n"
            "Usage: hookgate fetch [flags]\n"
            "\n"
            "Flags:\n"
            "  --limit N                   At most so many. Default: 50.\n"
            "  --grpc HOST:PORT            Where. Default: $HOOKGATE_GRPC, else here:1.\n"
            "  --type TYPE ...             Only these.\n"
            "  --order newest|oldest       Which first.\n"
            "  --a-flag-with-a-very-long-name\n"
            "                              Long.\n"
            "  --help, -h                  Print this.\n"
            "\n"
            "Examples:\n"
            "  hookgate fetch --limit 1\n"
            "      One.\n"
            "\n"
            "Exit codes:\n"
            "  0    Fine.\n"
            "  130  Interrupted.\n");
}

TEST(HelpTest, AGroupStandsForItsCommands) {
  const std::vector<Command> commands = {{.name = "fetch", .summary = "Fetch a thing"},
                                         {.name = "shelf list", .summary = "List what is there"},
                                         {.name = "shelf clear", .summary = "Throw it away"}};
  const CommandGroup shelf = {"shelf", "Look after the shelf", "What a shelf is."};
  const std::string overview = Overview(commands, {shelf});
  EXPECT_THAT(overview, ::testing::HasSubstr("\n  fetch          Fetch a thing\n"
                                             "  shelf          Look after the shelf\n"
                                             "  help "));
  EXPECT_EQ(OverviewOf(shelf, commands),
            "hookgate shelf: Look after the shelf\n"
            "\n"
            "What a shelf is.\n"
            "\n"
            "Usage: hookgate shelf COMMAND [flags]\n"
            "\n"
            "Commands:\n"
            "  list           List what is there\n"
            "  clear          Throw it away\n"
            "\n"
            "`hookgate shelf COMMAND --help` explains one, with examples.\n");
}

TEST(HelpTest, ArgumentsStandInTheUsage) {
  const Command command = {.name = "shelf show", .arguments = {.usage = "ID", .most = 1}};
  EXPECT_THAT(HelpOf(command), ::testing::HasSubstr("\nUsage: hookgate shelf show ID [flags]\n"));
}

TEST(HelpTest, LinesFitATerminal) {
  std::vector<std::string> pages = {Overview(Commands(), CommandGroups())};
  for (const CommandGroup& group : CommandGroups()) {
    pages.push_back(OverviewOf(group, Commands()));
  }
  for (const Command& command : Commands()) pages.push_back(HelpOf(command));
  for (const std::string& page : pages) {
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(page, '\n'))) {
      EXPECT_LE(line.size(), 92u) << line;
    }
  }
}

}  // namespace
}  // namespace hookgate::cli
