#include "server/gateway/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"

ABSL_FLAG(std::string, test_text, "before", "A text.");
ABSL_FLAG(bool, test_bool, false, "A bool.");
ABSL_FLAG(int, test_number, 1, "A number.");

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kFile[] = "server/gateway/command_line_test.cc";

std::vector<std::string> ErrorsOf(const std::vector<std::string>& words) {
  Problems problems;
  CheckCommandLine(words, kFile, problems);
  return problems.errors();
}

TEST(CommandLineTest, FlagsAreTakenInEachSpelling) {
  EXPECT_THAT(ErrorsOf({}), IsEmpty());
  EXPECT_THAT(
      ErrorsOf({"--test_text=x", "-test_text=y", "--test_text", "--z", "--test_bool",
                "--notest_bool", "--test_bool=false", "--test_number", "7", "--version", "--help"}),
      IsEmpty());
}

// Abseil ended the process at the first of these, with exit code 1.
TEST(CommandLineTest, EveryMistakeIsTold) {
  EXPECT_THAT(ErrorsOf({"--no_such_flag", "stray", "--test_bool=perhaps", "--test_number=many",
                        "--notest_text", "--notest_bool=1", "--", "-", "--test_text"}),
              ElementsAre(StartsWith("--no_such_flag: there is no such flag"),
                          StartsWith("\"stray\": "), StartsWith("--test_bool: \"perhaps\""),
                          StartsWith("--test_number: \"many\""), StartsWith("--notest_text: "),
                          StartsWith("--notest_bool: "), StartsWith("\"--\": "),
                          StartsWith("\"-\": "), StartsWith("--test_text: needs a value")));
}

// --config=$CONFIG with the variable unset meant: no config, and so no principals.
TEST(CommandLineTest, FlagWithNothingIsNotTheSameAsNone) {
  EXPECT_THAT(ErrorsOf({"--test_text="}), ElementsAre(HasSubstr("is empty, perhaps")));
  EXPECT_THAT(ErrorsOf({"--test_text", ""}), ElementsAre(HasSubstr("is empty, perhaps")));
}

TEST(CommandLineTest, FlagsOfLibrariesAreNotOurs) {
  for (const char* word :
       {"--flagfile=x", "--fromenv=test_text", "--undefok=y", "--helpfull", "--gtest_filter=*"}) {
    EXPECT_THAT(ErrorsOf({word}), ElementsAre(HasSubstr("there is no such flag"))) << word;
  }
}

TEST(CommandLineTest, StraySecretIsNotShown) {
  EXPECT_THAT(ErrorsOf({"whsec_c2VjcmV0"}), ElementsAre(testing::Not(HasSubstr("c2Vj"))));
}

TEST(CommandLineTest, HelpIsAskedForInEachSpelling) {
  for (const char* word : {"--help", "-help", "-h", "--h", "--help=true"}) {
    EXPECT_TRUE(AsksForHelp({"--test_bool", word})) << word;
  }
  EXPECT_FALSE(AsksForHelp({"--helpless", "help", "--test_bool"}));
  const std::string text = HelpText(kFile);
  EXPECT_THAT(text, HasSubstr("  --test_text=VALUE\n      A text.\n"));
  EXPECT_THAT(text, HasSubstr("  --test_bool\n      A bool.\n"));
  EXPECT_FALSE(absl::StrContains(text, "gtest"));
}

}  // namespace
}  // namespace hookgate
