#include "client/cli/cli.h"

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/cli_fixture.h"
#include "client/cli/commands/commands.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "version/version.h"

namespace hookgate::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::vector<std::string> kNames = {"subscribe", "failures", "events",
                                         "get",       "send",     "status"};

using CommandLineTest = CliTest;

TEST_F(CommandLineTest, WithoutACommandTheOverviewGoesToStderr) {
  const Outcome outcome = Run({});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_EQ(outcome.out, "");
  for (const std::string& name : kNames) EXPECT_THAT(outcome.err, HasSubstr("\n  " + name + " "));
}

TEST_F(CommandLineTest, TheOverviewIsAnAnswerToWhoAsks) {
  const std::string overview = Run({}).err;
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"--help"}, {"-h"}, {"help"}, {"help", "--help"}}) {
    const Outcome outcome = Run(line);
    EXPECT_EQ(outcome.exit_code, kSuccess);
    EXPECT_EQ(outcome.out, overview);
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(CommandLineTest, EveryCommandExplainsItself) {
  for (const std::string& name : kNames) {
    const Outcome outcome = Run({name, "--help"});
    EXPECT_EQ(outcome.exit_code, kSuccess);
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, AllOf(StartsWith("hookgate " + name + ": "),
                                   HasSubstr("\nUsage: hookgate " + name + " [flags]\n"),
                                   HasSubstr("\nFlags:\n"), HasSubstr("\n  --output text|json "),
                                   HasSubstr("\nExamples:\n  hookgate " + name),
                                   HasSubstr("\nExit codes:\n  0 ")));
    EXPECT_EQ(Run({"help", name}).out, outcome.out);
    EXPECT_EQ(Run({name, "-h"}).out, outcome.out);
    EXPECT_EQ(Run({name, "--no-such-flag", "--help"}).out, outcome.out);
  }
}

// It came back from gRPC's library as exit code 1 and "the request could not be sent", with a line
// of libprotobuf, and did not say which argument it was.
TEST_F(CommandLineTest, WhatIsNotUtf8IsWrongUsageInEveryCommand) {
  int flags = 0;
  for (const Command& command : Commands()) {
    const std::vector<std::string> words = absl::StrSplit(command.name, ' ');
    for (const FlagSpec& flag : command.flags) {
      if (flag.kind != FlagKind::kText || flag.any_bytes) continue;
      ++flags;
      std::vector<std::string> line = words;
      line.push_back(absl::StrCat("--", flag.name, "=a\xff"));
      const Outcome outcome = Run(line);
      EXPECT_EQ(outcome.exit_code, kWrongUsage) << command.name << " --" << flag.name;
      EXPECT_THAT(outcome.err,
                  HasSubstr(absl::StrCat("--", flag.name, ": \"a\\xff\" is not valid")));
    }
    if (command.arguments.least == 0 || command.arguments.any_bytes) continue;
    std::vector<std::string> line = words;
    line.insert(line.end(), command.arguments.least, "b\xfe");
    const Outcome outcome = Run(line);
    EXPECT_EQ(outcome.exit_code, kWrongUsage) << command.name;
    EXPECT_THAT(outcome.err, HasSubstr("\"b\\xfe\" is not valid"));
  }
  EXPECT_GT(flags, 30);
}

// What is behind one word of the overview has an overview of its own.
TEST_F(CommandLineTest, EveryGroupExplainsItselfAndItsCommands) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> groups = {
      {"quarantine", {"list", "show", "retry", "discard"}}};
  for (const auto& [group, names] : groups) {
    const Outcome overview = Run({group, "--help"});
    EXPECT_EQ(overview.exit_code, kSuccess);
    EXPECT_EQ(Run({"help", group}).out, overview.out);
    EXPECT_EQ(Run({group}).exit_code, kWrongUsage);
    EXPECT_EQ(Run({group}).err, overview.out);
    EXPECT_THAT(Run({"--help"}).out, HasSubstr("\n  " + group + " "));
    for (const std::string& name : names) {
      EXPECT_THAT(overview.out, HasSubstr("\n  " + name + " "));
      const Outcome outcome = Run({group, name, "--help"});
      EXPECT_EQ(outcome.exit_code, kSuccess);
      const std::string command = absl::StrCat("hookgate ", group, " ", name);
      EXPECT_THAT(outcome.out, AllOf(StartsWith(absl::StrCat(command, ": ")),
                                     HasSubstr(absl::StrCat("\nUsage: ", command, " ")),
                                     HasSubstr("\n  --output text|json "),
                                     HasSubstr(absl::StrCat("\nExamples:\n  ", command))));
      EXPECT_EQ(Run({"help", group, name}).out, outcome.out);
      EXPECT_EQ(Run({group, "help", name}).out, outcome.out);
    }
  }
}

TEST_F(CommandLineTest, AnUnknownCommandOfAGroupNamesTheNearest) {
  const Outcome outcome = Run({"quarantine", "lsit"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_EQ(outcome.err,
            "hookgate: there is no command quarantine lsit, did you mean list?\n"
            "See hookgate quarantine --help.\n");
  EXPECT_EQ(Run({"quarantin"}).err,
            "hookgate: there is no command quarantin, did you mean quarantine?\n"
            "See hookgate --help.\n");
  EXPECT_EQ(Run({"quarantine", "--all", "list"}).err,
            "hookgate: flags follow the command: hookgate quarantine COMMAND --all\n"
            "See hookgate quarantine --help.\n");
}

TEST_F(CommandLineTest, TellsItsVersion) {
  const Outcome outcome = Run({"--version"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, absl::StrCat("hookgate ", Version(), "\n"));
}

TEST_F(CommandLineTest, AnUnknownCommandNamesTheNearest) {
  const Outcome outcome = Run({"subscibe"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "hookgate: there is no command subscibe, did you mean subscribe?\n"
            "See hookgate --help.\n");
  EXPECT_EQ(Run({"help", "gte"}).err,
            "hookgate: there is no command gte, did you mean get?\nSee hookgate --help.\n");
}

TEST_F(CommandLineTest, AFlagIsNoCommand) {
  EXPECT_EQ(Run({"--grpc=x", "events"}).err,
            "hookgate: flags follow the command: hookgate COMMAND --grpc=x\n"
            "See hookgate --help.\n");
}

TEST_F(CommandLineTest, AWrongFlagNamesItsCommandsHelp) {
  const Outcome outcome = Run({"failures", "--sinse", "1h"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_EQ(outcome.err,
            "hookgate: failures: there is no flag --sinse, did you mean --since?\n"
            "See hookgate failures --help.\n");
}

TEST_F(CommandLineTest, AnArgumentThatIsNoFlagIsRefused) {
  const Outcome outcome = Run({"get", "42"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("hookgate get takes flags only, and \"42\" is not a flag. Did "
                                     "you mean --sequence 42?"));
  EXPECT_THAT(Run({"failures", "batch_1"}).err, HasSubstr("--subject batch_1?"));
  EXPECT_THAT(Run({"subscriptions", "show", "a", "b"}).err,
              HasSubstr("takes NAME and flags only, and \"b\" is not a flag"));
}

// gRPC takes anything for a name: a URL, or a host without its port, ended as "no gateway runs".
TEST_F(CommandLineTest, AnAddressThatCannotBeOneIsRefusedBeforeAnythingIsDone) {
  for (const char* command : {"failures", "subscribe", "status"}) {
    for (const char* target : {"localhost", "http://127.0.0.1:50051", "::1:50051"}) {
      const Outcome outcome = Run({command, "--grpc", target});
      EXPECT_EQ(outcome.exit_code, kWrongUsage) << target;
      EXPECT_THAT(outcome.err,
                  AllOf(HasSubstr(absl::StrCat("--grpc: \"", target, "\"")), HasSubstr("use ")));
    }
  }
  EXPECT_EQ(Run({"status", "--grpc", ""}).exit_code, kWrongUsage);
  variables_["HOOKGATE_GRPC"] = "https://gateway:50051";
  EXPECT_THAT(Run({"status"}).err,
              AllOf(HasSubstr("HOOKGATE_GRPC: "), HasSubstr("use gateway:50051, and turn TLS on")));
}

TEST_F(CommandLineTest, AUrlThatIsWrongNamesWhereItStands) {
  variables_["OPENAI_WEBHOOK_SECRET"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  variables_["HOOKGATE_URL"] = "127.0.0.1:8080";
  EXPECT_THAT(Run({"send"}).err, HasSubstr("HOOKGATE_URL: it begins neither with http://"));
  EXPECT_THAT(Run({"send", "--url", "http://a b"}).err, HasSubstr("--url: "));
}

TEST_F(CommandLineTest, JsonNumbersAreExplained) {
  EXPECT_THAT(Run({"events", "--help"}).out, HasSubstr("tonumber"));
}

TEST_F(CommandLineTest, OutputThatCannotBeWrittenIsAnError) {
  out_error_ = ENOSPC;
  const Outcome outcome = Run({"--version"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.err, "hookgate: cannot write the output: No space left on device\n");
}

TEST_F(CommandLineTest, AReaderThatWentAwayIsNone) {
  out_error_ = EPIPE;
  const Outcome outcome = Run({"--help"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace hookgate::cli
