#include "client/cli/page_text.h"

#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

TEST(PageTextTest, ValuesStandInAColumn) {
  EXPECT_EQ(FieldLines({{"id", "7"}, {"webhook-id", "wh_1"}, {"reason", ""}}, Style(false)),
            "id          7\n"
            "webhook-id  wh_1\n"
            "reason      -\n");
}

TEST(PageTextTest, LooksColourTheValueAlone) {
  EXPECT_EQ(FieldLines({{"ready", "no", Look::kBad}}, Style(true)), "ready  \x1b[31mno\x1b[0m\n");
}

TEST(PageTextTest, WhoSentItCannotTouchTheTerminal) {
  EXPECT_EQ(FieldLines({{"detail", "a\nb\x1b[2J"}}, Style(false)), "detail  a\\nb\\x1b[2J\n");
  EXPECT_EQ(Block("{\n\n \"a\": \"\x1b\"\n}"), "  {\n   \"a\": \"\\x1b\"\n  }\n");
}

}  // namespace
}  // namespace hookgate::cli
