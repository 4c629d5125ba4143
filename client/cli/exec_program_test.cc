#include "client/cli/exec_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hookgate::cli {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

TEST(ExecProgramTest, GetsItsInputAndItsEnvironment) {
  const ProgramResult result =
      RunShell("cat; echo \" $COLOUR\"", {.in = "an event", .environment = {"COLOUR=blue"}});
  EXPECT_TRUE(result.succeeded) << result.reason;
  EXPECT_EQ(result.out, "an event blue\n");
  EXPECT_EQ(result.err, "");
}

TEST(ExecProgramTest, TheLastLineOfStderrIsTheReason) {
  const ProgramResult result = RunShell("echo one >&2; echo ' two ' >&2; echo >&2; exit 3", {});
  EXPECT_FALSE(result.succeeded);
  EXPECT_EQ(result.reason, "two");
  EXPECT_EQ(result.err, "one\n two \n\n");
}

TEST(ExecProgramTest, SaysHowItEndedIfTheProgramSaysNothing) {
  EXPECT_EQ(RunShell("exit 3", {}).reason, "exit status 3");
  EXPECT_EQ(RunShell("kill -9 $$", {}).reason, "killed by signal 9");
}

// More than a pipe or a socket holds, in both directions, and nobody reads or everybody does.
TEST(ExecProgramTest, LargeInputsAndOutputsDoNotBlock) {
  const std::string large(3 << 20, 'x');
  EXPECT_TRUE(RunShell("exec true", {.in = large}).succeeded);
  EXPECT_TRUE(RunShell("exec <&-; sleep 0.05", {.in = large}).succeeded);
  const ProgramResult echoed = RunShell("cat", {.in = large});
  EXPECT_TRUE(echoed.succeeded);
  EXPECT_THAT(echoed.out, SizeIs(1 << 20)) << "the rest is dropped";
}

TEST(ExecProgramTest, ALongReasonIsCut) {
  EXPECT_THAT(
      RunShell("printf '%5000s' x >&2; printf '%5000s' '' | tr ' ' y >&2; exit 1", {}).reason,
      SizeIs(1024));
}

TEST(ExecProgramTest, IsKilledWithItsChildrenWhenItsTimeIsUp) {
  const ProgramResult result =
      RunShell("sleep 1000 & sleep 1000", {.timeout = absl::Milliseconds(50)});
  EXPECT_FALSE(result.succeeded);
  EXPECT_THAT(result.reason, HasSubstr("killed after 50ms"));
}

TEST(ExecProgramTest, HoldsNothingElseOfThisProcess) {
  EXPECT_EQ(RunShell("ls /proc/self/fd | wc -l", {}).out, "4\n") << "0, 1, 2 and the folder itself";
}

}  // namespace
}  // namespace hookgate::cli
