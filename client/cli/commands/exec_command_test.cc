#include "client/cli/commands/exec_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Problem(const std::string& command) {
  return ProblemOfCommand(command, {.environment = {"HOOKGATE_EVENT_SUBJECT=batch_1"},
                                    .withheld = {"EXEC_TEST_SECRET"}});
}

// A blank command ended with 0, so that every event was acked; one that the shell could not parse
// failed for every event until it was a dead letter.
TEST(ProblemOfCommandTest, WhatDoesNothingOrCannotBeParsedIsRefused) {
  for (const char* const command : {"",
                                    " ",
                                    "\t\n ",
                                    "# nothing",
                                    "  # a\n # b\n",
                                    "exec ",
                                    "LOG=1",
                                    "LOG=1  A=",
                                    "> /tmp/x.log",
                                    ">/dev/null 2>&1",
                                    " >> log 2> err",
                                    "exec >> log",
                                    "env",
                                    "\\\n",
                                    "env -i",
                                    "nice ",
                                    "command -p ",
                                    "cd /tmp; ",
                                    "LOG=1; ",
                                    "set -e; exec ",
                                    "umask 077;",
                                    "xargs "}) {
    EXPECT_THAT(Problem(command), HasSubstr("names no program")) << command;
  }
  // They read the event as their program: the sender's text.
  for (const char* const command :
       {"bash ", "sh", "/bin/sh -e", "python3 ", "cd /app; node >> log"}) {
    EXPECT_THAT(Problem(command), HasSubstr("names no program")) << command;
  }
  for (const char* const command : {"if then", "it's", "echo $(", "cat <<'", "a |", "(", "done"}) {
    EXPECT_THAT(Problem(command), HasSubstr("does not understand")) << command;
  }
  const std::string mark = absl::StrCat(testing::TempDir(), "/ran_", getpid());
  for (const std::string& command : {std::string("true"),
                                     std::string("./no-such-program"),
                                     std::string("HANDLER=true; $HANDLER"),
                                     absl::StrCat("touch ", mark),
                                     std::string("# why\ncat"),
                                     std::string("exit 3"),
                                     std::string("LOG=1 handler"),
                                     std::string("handler >> log 2>&1"),
                                     std::string("A=$(date)"),
                                     std::string("exec handler"),
                                     std::string("x=1; y"),
                                     std::string("./a=b"),
                                     std::string(":"),
                                     std::string("> log cat"),
                                     std::string("cd /app; ./handler"),
                                     std::string("sh handler.sh"),
                                     std::string("python3 -m handler"),
                                     std::string("nice -n 5 handler"),
                                     absl::StrCat("true ", std::string(200'000, 'x')),
                                     std::string("echo '\"$x\" `id`'")}) {
    EXPECT_EQ(Problem(command), "") << command;
  }
  EXPECT_NE(access(mark.c_str(), F_OK), 0) << "it was run";
}

// In a pipeline only the end of the last part counts: what was to handle the event had failed, and
// the event was acked.
TEST(ProblemOfCommandTest, AVariableThatIsNotSetIsRefused) {
  unsetenv("EXEC_TEST_UNSET");
  setenv("EXEC_TEST_SECRET", "it is withheld", 1);
  for (const char* const command :
       {"$EXEC_TEST_UNSET", "exec ${EXEC_TEST_UNSET} >> log", "cd /app; \"$EXEC_TEST_UNSET\"",
        "./handler $EXEC_TEST_UNSET | tee log", "echo \"of ${EXEC_TEST_UNSET}\"",
        "$EXEC_TEST_UNSET/bin/handler", "./handler $(cat $EXEC_TEST_UNSET)",
        "$EXEC_TEST_UNSET | tee -a '/dev/null' # log", "# why\n$EXEC_TEST_UNSET",
        "true && $EXEC_TEST_UNSET", "echo $PATH$EXEC_TEST_UNSET"}) {
    EXPECT_THAT(Problem(command), AllOf(HasSubstr("EXEC_TEST_UNSET in it is not set"),
                                        HasSubstr("${EXEC_TEST_UNSET:-}")))
        << command;
  }
  EXPECT_THAT(Problem("./handler $EXEC_TEST_SECRET"), HasSubstr("EXEC_TEST_SECRET in it is not"));
  unsetenv("EXEC_TEST_SECRET");
  for (const char* const command :
       {"./handler ${EXEC_TEST_UNSET:-}", "./handler ${EXEC_TEST_UNSET-x}",
        "./handler ${EXEC_TEST_UNSET:+x}", "EXEC_TEST_UNSET=./handler; $EXEC_TEST_UNSET",
        "for EXEC_TEST_UNSET in a b; do ./handler $EXEC_TEST_UNSET; done",
        "read -r EXEC_TEST_UNSET; ./handler \"$EXEC_TEST_UNSET\"", "./handler '$EXEC_TEST_UNSET'",
        "./handler \\$EXEC_TEST_UNSET", ". /app/environment; $EXEC_TEST_UNSET",
        "cat <<END\n$EXEC_TEST_UNSET\nEND", "./handler $HOOKGATE_EVENT_SUBJECT",
        "echo $PWD $$ $? $# $@ $* $0", "echo 5$ $", "echo ${#HOME} ${HOME%/} ${",
        "echo $((1 + 2))"}) {
    EXPECT_THAT(Problem(command), Not(HasSubstr("not set"))) << command;
  }
}

// `HANDLER=` of a file of settings: success, without anything having run.
TEST(ProblemOfCommandTest, ToRunWhatIsEmptyIsRefused) {
  setenv("EXEC_TEST_EMPTY", " ", 1);
  for (const char* const command : {"$EXEC_TEST_EMPTY",
                                    "exec ${EXEC_TEST_EMPTY}",
                                    "\"$EXEC_TEST_EMPTY\"",
                                    "cd /app; $EXEC_TEST_EMPTY >> log 2>&1",
                                    "LOG=1 $EXEC_TEST_EMPTY | tee log",
                                    "${EXEC_TEST_EMPTY} && $EXEC_TEST_EMPTY",
                                    "nice -n5 $EXEC_TEST_EMPTY ${EXEC_TEST_EMPTY}",
                                    "$EXEC_TEST_EMPTY>log 2>&1",
                                    "{ $EXEC_TEST_EMPTY; }",
                                    "( $EXEC_TEST_EMPTY )",
                                    "! $EXEC_TEST_EMPTY",
                                    "$EXEC_TEST_EMPTY # why",
                                    "# why\n$EXEC_TEST_EMPTY",
                                    "$EXEC_TEST_EMPTY | tee 'a log'",
                                    "jq . | $EXEC_TEST_EMPTY",
                                    "${EXEC_TEST_EMPTY:-}",
                                    "${EXEC_TEST_NOT_SET-}",
                                    "$EXEC_TEST_EMPTY$EXEC_TEST_EMPTY",
                                    "eval $EXEC_TEST_EMPTY",
                                    "eval \"$EXEC_TEST_EMPTY\""}) {
    EXPECT_THAT(Problem(command), HasSubstr("it is to run $")) << command;
  }
  setenv("EXEC_TEST_PROGRAM", "true", 1);
  for (const char* const command :
       {"./handler $EXEC_TEST_EMPTY", "$EXEC_TEST_EMPTY ./handler", "cat; $EXEC_TEST_EMPTY",
        "$EXEC_TEST_EMPTY; ./handler", "cat && $EXEC_TEST_EMPTY", "./handler || $EXEC_TEST_EMPTY",
        "${EXEC_TEST_EMPTY:-true}", "$EXEC_TEST_EMPTY $EXEC_TEST_PROGRAM",
        "EXEC_TEST_EMPTY=true; $EXEC_TEST_EMPTY", "$EXEC_TEST_PROGRAM | tee log"}) {
    EXPECT_EQ(Problem(command), "") << command;
  }
  unsetenv("EXEC_TEST_EMPTY");
  unsetenv("EXEC_TEST_PROGRAM");
}

}  // namespace
}  // namespace hookgate::cli
