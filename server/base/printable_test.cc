#include "server/base/printable.h"

#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

TEST(PrintableTest, HarmlessTextStaysAsItIs) {
  for (const char* text : {"", "plain text", "a\\b \"c\"", "größe 数 😀", "\xc2\xa0"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

// A terminal obeys more than the escape character: BS, BEL, DEL and the C1 controls came through.
TEST(PrintableTest, EveryControlCharacterIsEscaped) {
  for (int code = 0; code < 0xA0; ++code) {
    if (code == ' ') code = 0x7F;
    const std::string text = code < 0x80 ? std::string(1, static_cast<char>(code))
                                         : std::string{'\xC2', static_cast<char>(code)};
    EXPECT_EQ(Printable(text)[0], '\\') << code;
    EXPECT_EQ(PrintableJsonString(text).substr(0, 2), "\"\\") << code;
  }
  EXPECT_EQ(Printable("a\nb\rc\td\x1b[2J"), "a\\nb\\rc\\td\\x1b[2J");
  EXPECT_EQ(Printable("\x7f\xc2\x9b"), "\\x7f\\u009b");
}

TEST(PrintableTest, MarksThatReorderOrHideTextAreEscaped) {
  EXPECT_EQ(Printable("\u061c\u200e\u200f\u202a\u202e\u2066\u2069"),
            "\\u061c\\u200e\\u200f\\u202a\\u202e\\u2066\\u2069");
  EXPECT_EQ(Printable("\u2028\u2029\u200b\ufeff\u00ad"), "\\u2028\\u2029\\u200b\\ufeff\\u00ad");
  EXPECT_EQ(Printable("\U000E0041"), "\\U000e0041");
  EXPECT_EQ(PrintableJsonString("\u061c\u2066\u2069"), R"("\u061c\u2066\u2069")");
  EXPECT_EQ(PrintableJsonString("\U000E0041"), R"("\udb40\udc41")");
}

TEST(PrintableTest, BytesThatAreNotUtf8BecomeTheirNumbers) {
  EXPECT_EQ(Printable("a\xff"
                      "b\xc3"),
            "a\\xffb\\xc3");
  EXPECT_EQ(Printable("\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80"),  // overlong, surrogate, too large
            "\\xc0\\x80\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80");
  EXPECT_EQ(PrintableJsonString("a\xff"), R"("a\\xff")");
}

TEST(PrintableTest, JsonStringsEscapeWhatJsonAsksFor) {
  EXPECT_EQ(PrintableJsonString("a\"b\\c/\b\f\n\r\t\x01"), R"("a\"b\\c/\b\f\n\r\t\u0001")");
  EXPECT_EQ(PrintableJsonString(""), "\"\"");
}

}  // namespace
}  // namespace hookgate
