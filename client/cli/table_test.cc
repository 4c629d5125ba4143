#include "client/cli/table.h"

#include <gmock/gmock.h>

#include <sstream>
#include <string>

#include "client/cli/printable.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using testing::HasSubstr;

std::string Printed(const Table& table, bool colour = false) {
  std::ostringstream out;
  table.Print(Style(colour), out);
  return out.str();
}

TEST(TableTest, AlignsColumnsByTheirWidestCell) {
  Table table({{"TYPE"}, {"SEQUENCE", true}, {"SUBJECT"}});
  table.AddRow({{"batch.failed"}, {"7"}, {"batch_1"}});
  table.AddRow({{"x"}, {"1234567890"}, {"batch_22"}});
  EXPECT_EQ(Printed(table),
            "TYPE            SEQUENCE  SUBJECT\n"
            "batch.failed           7  batch_1\n"
            "x             1234567890  batch_22\n");
}

TEST(TableTest, LeavesNoBlanksAtTheEndOfALine) {
  Table table({{"A"}, {"B"}});
  table.AddRow({{"long"}, {""}});
  table.AddRow({{""}, {"b"}});
  EXPECT_EQ(Printed(table), "A     B\nlong\n      b\n");
}

TEST(TableTest, AlignsByCharactersAndIgnoresColour) {
  Table table({{"A"}, {"B"}});
  table.AddRow({{"Grüße", Look::kBad}, {"1"}});
  table.AddRow({{"abcde"}, {"2", Look::kFaint}});
  EXPECT_EQ(Printed(table),
            "A      B\n"
            "Grüße  1\n"
            "abcde  2\n");
  EXPECT_EQ(Printed(table, true),
            "\x1b[1mA\x1b[0m      \x1b[1mB\x1b[0m\n"
            "\x1b[31mGrüße\x1b[0m  1\n"
            "abcde  \x1b[2m2\x1b[0m\n");
}

// A subject of 200 kB made each line of a table as long.
TEST(TableTest, CutsCellsThatNobodyReads) {
  Table table({{"SUBJECT"}, {"N"}});
  table.AddRow({{std::string(200'000, 's')}, {"1"}});
  table.AddRow({{std::string(kMaxShown, 't')}, {"2"}});
  const std::string printed = Printed(table);
  EXPECT_THAT(printed, HasSubstr(std::string(kMaxShown - 3, 's') + "...  1\n"));
  EXPECT_THAT(printed, HasSubstr(std::string(kMaxShown, 't') + "  2\n"));
}

TEST(TableTest, EscapesWhatCellsBring) {
  Table table({{"SUBJECT"}, {"TYPE"}});
  table.AddRow({{"a\nb\x1b[31m"}, {"x"}});
  EXPECT_EQ(Printed(table), "SUBJECT       TYPE\na\\nb\\x1b[31m  x\n");
}

}  // namespace
}  // namespace hookgate::cli
