#include "client/cli/man_page.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/cli/commands/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(ManPageTest, SaysAllThatHelpSays) {
  const std::vector<Command> commands = {
      {.name = "fetch",
       .summary = "Fetch a thing",
       .description = "First paragraph.\n\n.Second one: a\\b.",
       .arguments = {.usage = "ID"},
       .flags = {{.name = "limit",
                  .kind = FlagKind::kInt,
                  .value = "N",
                  .help = "'At most' so many.",
                  .default_value = "50"},
                 {.name = "grpc",
                  .value = "HOST:PORT",
                  .help = "Where.",
                  .default_value = "here:1",
                  .variable = "HOOKGATE_GRPC"},
                 {.name = "order",
                  .kind = FlagKind::kChoice,
                  .help = "Which.",
                  .repeated = true,
                  .choices = {"newest", "oldest"}}},
       .examples = {{"hookgate fetch --limit 1", "One."}},
       .exits = {{0, "Fine."}},
       .run = nullptr},
      {.name = "shelf list", .summary = "List it", .description = "All.", .run = nullptr}};
  const std::string page =
      ManPage(commands, {{"shelf", "Look after the shelf", "What a shelf is."}}, "1.2.3-dev");
  EXPECT_THAT(page, StartsWith(".\\\" Made by `hookgate man`.\n"
                               ".TH HOOKGATE 1 \"\" \"hookgate 1.2.3\\-dev\" \"Hookgate\"\n"));
  EXPECT_THAT(page, HasSubstr(".SS \\fBhookgate fetch\\fR \\fIID\\fR [\\fIflags\\fR]\n"
                              "Fetch a thing.\n"
                              ".PP\n"
                              "First paragraph.\n"
                              ".PP\n"
                              "\\&.Second one: a\\eb.\n"
                              ".TP\n"
                              "\\fB\\-\\-limit\\fR \\fIN\\fR\n"
                              "\\&'At most' so many. Default: 50.\n"
                              ".TP\n"
                              "\\fB\\-\\-grpc\\fR \\fIHOST:PORT\\fR\n"
                              "Where. Default: $HOOKGATE_GRPC, else here:1.\n"
                              ".TP\n"
                              "\\fB\\-\\-order\\fR newest|oldest ...\n"
                              "Which.\n"
                              ".PP\n"
                              "Examples:\n"
                              ".TP\n"
                              "\\fBhookgate fetch \\-\\-limit 1\\fR\n"
                              "One.\n"
                              ".PP\n"
                              "Exit codes:\n"
                              ".TP\n"
                              "\\fB0\\fR\n"
                              "Fine.\n"));
  EXPECT_THAT(page, HasSubstr(".SH \"COMMANDS OF shelf\"\nLook after the shelf.\n"));
  EXPECT_THAT(page, HasSubstr(".SS \\fBhookgate shelf list\\fR [\\fIflags\\fR]\n"));
  EXPECT_THAT(page, HasSubstr("\\fBHOOKGATE_GRPC\\fR\nThe value of \\-\\-grpc, "));
}

// A command that was added later is in it, too; and nothing in a text is taken for a request.
TEST(ManPageTest, EveryCommandAndFlagIsInIt) {
  const std::string page = ManPage(Commands(), CommandGroups(), "1");
  const auto escaped = [](const std::string& text) {
    return absl::StrReplaceAll(text, {{"-", "\\-"}});
  };
  for (const Command& command : Commands()) {
    EXPECT_THAT(page, HasSubstr(absl::StrCat(".SS \\fBhookgate ", escaped(command.name), "\\fR")));
    for (const FlagSpec& flag : command.flags) {
      EXPECT_THAT(page, HasSubstr(escaped(absl::StrCat("\\fB--", flag.name, "\\fR"))));
    }
  }
  EXPECT_THAT(page, Not(HasSubstr("\n'")));
  EXPECT_THAT(page, Not(HasSubstr("\n\n")));
}

}  // namespace
}  // namespace hookgate::cli
