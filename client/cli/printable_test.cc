#include "client/cli/printable.h"

#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

TEST(PrintableTest, LeavesTextAsItIs) {
  for (const char* text : {"", "batch_abc", "Grüße, 世界 🎉", "C:\\n", "a b"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(PrintableTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("\x1b[2J\x1b]0;owned\a"), "\\x1b[2J\\x1b]0;owned\\x07");
  EXPECT_EQ(Printable("a\r\nb\tc\x7f"), "a\\r\\nb\\tc\\x7f");
  EXPECT_EQ(Printable(absl::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\xC2\x9B"
                      "31m"),
            "\\u009b31m");  // CSI as one character.
}

TEST(PrintableTest, EscapesWhatReordersText) {
  EXPECT_EQ(Printable("a\u202Eb\u2066c\u200Fd"), "a\\u202eb\\u2066c\\u200fd");
  EXPECT_EQ(Printable("a\u2028b"), "a\\u2028b");
}

TEST(PrintableTest, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(Printable("a\xFFz"), "a\\xffz");
  EXPECT_EQ(Printable("\xC0\x8A"), "\\xc0\\x8a");           // A line feed in overlong form.
  EXPECT_EQ(Printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");  // A surrogate.
  EXPECT_EQ(Printable("\xE4\xB8"), "\\xe4\\xb8");           // Cut off.
  EXPECT_EQ(Printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(PrintableTest, KeepsLinesOfABlock) {
  EXPECT_EQ(PrintableLines("{\n\t\"a\": 1\r\n}\x1b"), "{\n\t\"a\": 1\\r\n}\\x1b");
}

TEST(ShortenedTest, CutsBetweenCharacters) {
  std::string longest;
  for (size_t i = 0; i < kMaxShown; ++i) longest += "ü";
  EXPECT_EQ(Shortened(longest), longest);
  EXPECT_EQ(Shortened(""), "");
  const std::string cut = Shortened(longest + "x");
  EXPECT_EQ(cut, longest.substr(0, 2 * (kMaxShown - 3)) + "...");
  EXPECT_EQ(Width(cut), kMaxShown);
}

// protobuf leaves these as they are: `--output json` in a terminal could be reordered by a sender.
TEST(PrintableJsonTest, EscapesSoThatAParserReadsTheSame) {
  EXPECT_EQ(PrintableJson("{\"a\":\"\u061Cx\u2066y\u2069\u202E\u200F\u206A\"}"),
            R"({"a":"\u061cx\u2066y\u2069\u202e\u200f\u206a"})");
  EXPECT_EQ(PrintableJson("\"\x7f\xC2\x80\xC2\x9B\u2028\""), R"("\u007f\u0080\u009b\u2028")");
  EXPECT_EQ(PrintableJson("{\n\t\"a\": \"Gr\u00FC\u00DFe \\\\ \U0001F389 \\u0007\"\n}"),
            "{\n\t\"a\": \"Gr\u00FC\u00DFe \\\\ \U0001F389 \\u0007\"\n}");
}

TEST(WidthTest, CountsCharactersNotBytes) {
  EXPECT_EQ(Width(""), 0u);
  EXPECT_EQ(Width("abc"), 3u);
  EXPECT_EQ(Width("Grüße"), 5u);
}

}  // namespace
}  // namespace hookgate::cli
