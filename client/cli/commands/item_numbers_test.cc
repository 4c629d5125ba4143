#include "client/cli/commands/item_numbers.h"

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using ::testing::ElementsAre;

TEST(ItemNumbersTest, ANumberAboveZeroNamesAnItem) {
  EXPECT_EQ(ParseNumber("42", kQuarantineIds).value(), 42);
}

TEST(ItemNumbersTest, AnythingElseIsRefusedWithTheCommandThatShowsNumbers) {
  for (const absl::string_view wrong : {"", "0", "-7", "7x", "9223372036854775808"}) {
    EXPECT_EQ(ParseNumber(wrong, kEventSequences).status().code(),
              absl::StatusCode::kInvalidArgument)
        << wrong;
  }
  EXPECT_EQ(ParseNumber("7x", kQuarantineIds).status().message(),
            "\"7x\" is not an id: ids are numbers, and hookgate quarantine list shows them");
  EXPECT_EQ(ParseNumber("7x", kJobIds).status().message(),
            "\"7x\" is not the id of a job: those are numbers, and hookgate jobs list shows them");
}

TEST(ItemNumbersTest, NumbersStandBehindOtherArgumentsInTheirOrder) {
  const auto get_variable = [](const std::string&) { return std::nullopt; };
  const Flags flags =
      Flags::Parse({}, {"billing", "9", "4"}, get_variable, absl::UTCTimeZone()).value();
  EXPECT_THAT(ParseNumbers(flags, 1, kDeadLetterSequences).value(), ElementsAre(9, 4));
  EXPECT_EQ(ParseNumbers(flags, 0, kDeadLetterSequences).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hookgate::cli
