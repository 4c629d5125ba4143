#include "client/cli/commands/table_commands.h"

#include <gmock/gmock.h>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

using TableCommandsTest = CliTest;

TEST_F(TableCommandsTest, EachShellHasAScriptThatKnowsThisCommand) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome outcome = Run({"completion", shell});
    EXPECT_EQ(outcome.exit_code, kSuccess);
    EXPECT_THAT(outcome.out, HasSubstr("completion"));
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(TableCommandsTest, AnotherShellIsRefusedByName) {
  const Outcome outcome = Run({"completion", "tcsh"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("\"tcsh\" is not a supported shell; use bash, zsh or"));
  EXPECT_EQ(Run({"completion"}).exit_code, kWrongUsage);
}

TEST_F(TableCommandsTest, TheManualPageIsPrinted) {
  const Outcome outcome = Run({"man"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out, StartsWith(".\\\" Made by `hookgate man`.\n.TH HOOKGATE 1 "));
}

}  // namespace
}  // namespace hookgate::cli
