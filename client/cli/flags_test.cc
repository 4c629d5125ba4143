#include "client/cli/flags.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::vector<FlagSpec> kSpecs = {
    {.name = "raw", .kind = FlagKind::kBool, .help = ""},
    {.name = "name", .kind = FlagKind::kText, .value = "NAME", .help = ""},
    {.name = "grpc",
     .kind = FlagKind::kText,
     .value = "TARGET",
     .help = "",
     .default_value = "localhost:1",
     .variable = "GRPC"},
    {.name = "type",
     .kind = FlagKind::kText,
     .value = "TYPE",
     .help = "",
     .repeated = true,
     .usual = {"batch.*", "batch.failed", "response.failed"}},
    {.name = "output",
     .kind = FlagKind::kChoice,
     .help = "",
     .default_value = "text",
     .choices = {"text", "json"}},
    {.name = "limit",
     .kind = FlagKind::kInt,
     .value = "N",
     .help = "",
     .default_value = "50",
     .variable = "LIMIT",
     .minimum = 1,
     .maximum = 1000},
    {.name = "from-sequence", .kind = FlagKind::kInt, .value = "N", .help = "", .minimum = 1},
    {.name = "heartbeat",
     .kind = FlagKind::kDuration,
     .value = "DURATION",
     .help = "",
     .default_value = "15s",
     .shortest = absl::Seconds(1),
     .longest = absl::Minutes(10)},
    {.name = "since", .kind = FlagKind::kTime, .value = "AGO|TIME", .help = ""},
};

std::map<std::string, std::string> variables;

absl::StatusOr<Flags> Parse(const std::vector<std::string>& arguments) {
  return Flags::Parse(
      kSpecs, arguments,
      [](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      },
      absl::UTCTimeZone());
}

std::string ErrorOf(const std::vector<std::string>& arguments) {
  return std::string(Parse(arguments).status().message());
}

class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest() { variables.clear(); }
};

TEST_F(FlagsTest, DefaultsHoldWhenNothingIsSaid) {
  const Flags flags = Parse({}).value();
  EXPECT_FALSE(flags.Bool("raw"));
  EXPECT_FALSE(flags.Has("name"));
  EXPECT_EQ(flags.Text("name"), "");
  EXPECT_EQ(flags.Text("grpc"), "localhost:1");
  EXPECT_THAT(flags.List("type"), IsEmpty());
  EXPECT_EQ(flags.Int("limit"), 50);
  EXPECT_EQ(flags.Duration("heartbeat"), absl::Seconds(15));
  EXPECT_FALSE(flags.Given("limit"));
}

TEST_F(FlagsTest, TakesEveryForm) {
  const Flags flags = Parse({"--raw", "--name=a=b", "--limit", "7", "-since", "2h", "--output=json",
                             "--type", "a", "--type=b", "--heartbeat=90s"})
                          .value();
  EXPECT_TRUE(flags.Bool("raw"));
  EXPECT_EQ(flags.Text("name"), "a=b");
  EXPECT_EQ(flags.Int("limit"), 7);
  EXPECT_TRUE(flags.Given("limit"));
  EXPECT_EQ(flags.Time("since", absl::FromUnixSeconds(10'000)), absl::FromUnixSeconds(2'800));
  EXPECT_EQ(flags.Text("output"), "json");
  EXPECT_THAT(flags.List("type"), ElementsAre("a", "b"));
  EXPECT_EQ(flags.Duration("heartbeat"), absl::Seconds(90));
}

TEST_F(FlagsTest, TheLastOneCounts) {
  const Flags flags = Parse({"--name", "a", "--raw", "--name", "b", "--raw=false"}).value();
  EXPECT_EQ(flags.Text("name"), "b");
  EXPECT_FALSE(flags.Bool("raw"));
}

TEST_F(FlagsTest, WhatIsNoFlagIsAnArgument) {
  EXPECT_THAT(Parse({"a", "--raw", "-", "b"}).value().arguments(), ElementsAre("a", "-", "b"));
  EXPECT_THAT(Parse({"--", "--raw", "--"}).value().arguments(), ElementsAre("--raw", "--"));
}

TEST_F(FlagsTest, ASingleDashMayBeAValue) {
  EXPECT_EQ(Parse({"--name", "-"}).value().Text("name"), "-");
  EXPECT_EQ(Parse({"--name", "-5m"}).value().Text("name"), "-5m");
}

TEST_F(FlagsTest, VariablesComeBeforeDefaultsAndAfterFlags) {
  variables["GRPC"] = "remote:2";
  EXPECT_EQ(Parse({}).value().Text("grpc"), "remote:2");
  EXPECT_FALSE(Parse({}).value().Given("grpc"));
  EXPECT_EQ(Parse({"--grpc", "here:3"}).value().Text("grpc"), "here:3");
  variables["GRPC"] = "";
  EXPECT_EQ(Parse({}).value().Text("grpc"), "localhost:1");
}

TEST_F(FlagsTest, VariablesAreCheckedLikeFlags) {
  variables["LIMIT"] = "many";
  EXPECT_EQ(ErrorOf({}), "LIMIT: \"many\" is not valid; use a whole number from 1 to 1000");
  EXPECT_EQ(Parse({"--limit=3"}).value().Int("limit"), 3);
}

// A type that was mistyped was listed, and subscribed to, in silence: nothing ever came.
TEST_F(FlagsTest, ValuesThatAreNearToUsualOnesAreAskedAbout) {
  const auto doubts = [](const std::string& value) {
    return DoubtsAbout(kSpecs, Parse({"--type", value}).value());
  };
  EXPECT_THAT(doubts("batch.faild"),
              ElementsAre("--type batch.faild is taken as it is; did you mean batch.failed?"));
  EXPECT_THAT(doubts("batch"), ElementsAre(HasSubstr("batch.*?")));
  EXPECT_THAT(doubts("bacth.*"), ElementsAre(HasSubstr("batch.*?")));
  for (const char* const value : {"batch.failed", "batch.*", "resp*", "*", "moon.landed"}) {
    EXPECT_THAT(doubts(value), IsEmpty()) << value;
  }
}

TEST_F(FlagsTest, UnknownFlagsNameTheNearest) {
  EXPECT_EQ(ErrorOf({"--limt", "3"}), "there is no flag --limt, did you mean --limit?");
  EXPECT_EQ(ErrorOf({"--zzz"}), "there is no flag --zzz");
  EXPECT_EQ(ErrorOf({"-n"}), "there is no flag --n");
}

// Someone may write --secret=whsec_... : it must not be shown once more.
TEST_F(FlagsTest, UnknownFlagsDoNotRepeatTheirValue) {
  EXPECT_EQ(ErrorOf({"--secret=whsec_abc"}), "there is no flag --secret");
}

TEST_F(FlagsTest, AForgottenValueIsNamed) {
  EXPECT_EQ(ErrorOf({"--name"}), "--name needs a value: --name NAME");
  EXPECT_EQ(ErrorOf({"--output", "--raw"}), "--output needs a value: --output text|json");
}

TEST_F(FlagsTest, WrongValuesSayWhatWouldBeRight) {
  EXPECT_EQ(ErrorOf({"--limit=0"}),
            "--limit: \"0\" is not valid; use a whole number from 1 to 1000");
  EXPECT_EQ(ErrorOf({"--from-sequence=-1"}),
            "--from-sequence: \"-1\" is not valid; use a whole number from 1 on");
  EXPECT_EQ(ErrorOf({"--limit=1.5"}),
            "--limit: \"1.5\" is not valid; use a whole number from 1 to 1000");
  EXPECT_EQ(ErrorOf({"--output=jsn"}),
            "--output: \"jsn\" is not valid; use text or json, did you mean json?");
  EXPECT_EQ(ErrorOf({"--heartbeat=15"}),
            "--heartbeat: \"15\" is not valid; use a duration such as 90s, 15m, 1h30m, 2d or 1w");
  EXPECT_EQ(ErrorOf({"--heartbeat=1h"}),
            "--heartbeat: \"1h\" is not valid; use a duration from 1 s to 10 min");
  EXPECT_THAT(ErrorOf({"--since=yesterday"}), HasSubstr("--since: \"yesterday\" is not valid"));
  EXPECT_EQ(ErrorOf({"--name="}), "--name: \"\" is not valid; use something that is not empty");
  EXPECT_EQ(ErrorOf({"--raw=yes"}),
            "--raw: \"yes\" is not valid; use true or false, or nothing for true");
}

TEST_F(FlagsTest, MessagesAreSafeToPrint) {
  EXPECT_THAT(ErrorOf({"--limit=\x1b[2J"}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(ErrorOf({"--\x1b[2J"}), Not(HasSubstr("\x1b")));
}

TEST_F(FlagsTest, ContradictionsAreNamed) {
  EXPECT_TRUE(CheckAtMostOne(Parse({"--name=x"}).value(), {"name", "since"}).ok());
  EXPECT_EQ(CheckAtMostOne(Parse({"--since=1h", "--name=x"}).value(), {"name", "since"}).message(),
            "--name and --since contradict each other: give one of them");
}

}  // namespace
}  // namespace hookgate::cli
