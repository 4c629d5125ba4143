#include "client/cli/completion.h"

#include <stdio.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Command>& SomeCommands() {
  static const auto* const kCommands = new std::vector<Command>{
      {.name = "fetch",
       .summary = "Fetch a thing",
       .flags = {{.name = "order",
                  .kind = FlagKind::kChoice,
                  .help = "Which [first]. And more.",
                  .choices = {"newest", "oldest"}},
                 {.name = "grpc", .value = "HOST:PORT", .help = "Where it's found."},
                 {.name = "type", .value = "TYPE", .help = "Only these.", .repeated = true},
                 {.name = "tls-ca", .value = "FILE", .help = "Who signed."},
                 {.name = "raw", .kind = FlagKind::kBool, .help = "As it is."}},
       .run = nullptr},
      {.name = "check",
       .summary = "Check: a folder",
       .arguments = {.usage = "DATA_DIR|BACKUP", .least = 1, .most = 1},
       .run = nullptr},
      {.name = "shelf list",
       .summary = "List what's there",
       .flags = {{.name = "all", .kind = FlagKind::kBool, .help = "All."}},
       .run = nullptr}};
  return *kCommands;
}

const std::vector<CommandGroup>& SomeGroups() {
  static const auto* const kGroups =
      new std::vector<CommandGroup>{{"shelf", "Look after the shelf", "What it is."}};
  return *kGroups;
}

// What a real bash completes the last of `words` to.
std::vector<std::string> CompletedByBash(const std::vector<std::string>& words) {
  const std::string folder = ::testing::TempDir();
  std::ofstream(absl::StrCat(folder, "/completion"))
      << BashCompletion(SomeCommands(), SomeGroups());
  std::ofstream(absl::StrCat(folder, "/a file")) << "";
  std::string command = absl::StrCat("cd '", folder, "' && bash -euc 'source ./completion; ");
  absl::StrAppend(&command, "COMP_WORDS=(");
  for (const std::string& word : words) absl::StrAppend(&command, "\"", word, "\" ");
  absl::StrAppend(&command, "); COMP_CWORD=", words.size() - 1,
                  "; set +eu; _hookgate; printf \"%s\\n\" \"${COMPREPLY[@]}\"' 2>&1");
  FILE* const pipe = popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) out.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0) << out;
  return absl::StrSplit(out, '\n', absl::SkipEmpty());
}

TEST(BashCompletionTest, CommandsCompleteAndThoseOfAGroupBehindIt) {
  EXPECT_THAT(CompletedByBash({"hookgate", ""}),
              ElementsAre("fetch", "check", "shelf", "help", "--help", "--version"));
  EXPECT_THAT(CompletedByBash({"hookgate", "sh"}), ElementsAre("shelf"));
  EXPECT_THAT(CompletedByBash({"hookgate", "shelf", ""}), ElementsAre("list"));
  EXPECT_THAT(CompletedByBash({"hookgate", "help", "f"}), ElementsAre("fetch"));
  EXPECT_THAT(CompletedByBash({"hookgate", "no-such-command", ""}), IsEmpty());
}

TEST(BashCompletionTest, FlagsCompleteByTheirCommand) {
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--"}),
              ElementsAre("--order", "--grpc", "--type", "--tls-ca", "--raw", "--help"));
  EXPECT_THAT(CompletedByBash({"hookgate", "shelf", "list", "--a"}), ElementsAre("--all"));
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--raw", "--o"}), ElementsAre("--order"));
}

TEST(BashCompletionTest, ValuesCompleteByTheirFlag) {
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--order", ""}),
              ElementsAre("newest", "oldest"));
  // As bash takes --order=o and --order= apart.
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--order", "=", "o"}), ElementsAre("oldest"));
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--order", "="}),
              ElementsAre("newest", "oldest"));
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--tls-ca", "a"}), ElementsAre("a file"));
  EXPECT_THAT(CompletedByBash({"hookgate", "check", "a"}), ElementsAre("a file"));
  // Nobody knows these.
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--grpc", ""}), IsEmpty());
  EXPECT_THAT(CompletedByBash({"hookgate", "fetch", "--grpc", "-"}), IsEmpty());
}

TEST(ZshCompletionTest, SaysAllThatThereIsToComplete) {
  const std::string script = ZshCompletion(SomeCommands(), SomeGroups());
  for (const char* part :
       {"#compdef hookgate\n", "    'fetch:Fetch a thing'\n", "    'check:Check\\: a folder'\n",
        "        'list:List what'\\''s there'\n", "    ('shelf list')\n      _arguments",
        "'--order=[Which \\[first\\]]:order:(newest oldest)'",
        "'--grpc=[Where it'\\''s found]:HOST\\:PORT: '", "'*--type=[Only these]:TYPE: '",
        "'--tls-ca=[Who signed]:FILE:_files'", "'--raw[As it is]'", "'*:DATA_DIR|BACKUP:_files'"}) {
    EXPECT_THAT(script, HasSubstr(part));
  }
}

TEST(FishCompletionTest, SaysAllThatThereIsToComplete) {
  const std::string script = FishCompletion(SomeCommands(), SomeGroups());
  for (const char* part :
       {"complete -c hookgate -n '__hookgate_needs' -a fetch -d 'Fetch a thing'\n",
        "complete -c hookgate -n '__hookgate_needs shelf' -a list -d 'List what\\'s there'\n",
        "complete -c hookgate -n '__hookgate_needs help' -a shelf ",
        "complete -c hookgate -n '__hookgate_is fetch' -l order -x -a 'newest oldest' -d ",
        "complete -c hookgate -n '__hookgate_is fetch' -l grpc -x -d ",
        "complete -c hookgate -n '__hookgate_is fetch' -l tls-ca -r -F -d 'Who signed'\n",
        "complete -c hookgate -n '__hookgate_is shelf list' -l all -d 'All'\n",
        "complete -c hookgate -n '__hookgate_is check' -F\n"}) {
    EXPECT_THAT(script, HasSubstr(part));
  }
}

// A command that was added later is completed, too.
TEST(CompletionTest, EveryCommandAndFlagIsInEveryScript) {
  const std::vector<std::string> scripts = {BashCompletion(Commands(), CommandGroups()),
                                            ZshCompletion(Commands(), CommandGroups()),
                                            FishCompletion(Commands(), CommandGroups())};
  for (const Command& command : Commands()) {
    EXPECT_THAT(scripts[0], HasSubstr(absl::StrCat("\n    '", command.name, "')\n")));
    EXPECT_THAT(scripts[1], HasSubstr(absl::StrCat("\n    ('", command.name, "')\n")));
    for (const FlagSpec& flag : command.flags) {
      EXPECT_THAT(scripts[0], HasSubstr(absl::StrCat("--", flag.name, " ")));
      EXPECT_THAT(scripts[1], HasSubstr(absl::StrCat("--", flag.name)));
      EXPECT_THAT(scripts[2],
                  HasSubstr(absl::StrCat("__hookgate_is ", command.name, "' -l ", flag.name, " ")));
    }
  }
}

}  // namespace
}  // namespace hookgate::cli
