#include "server/grpc_server/percent_encoding.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

TEST(PercentEncodingTest, PrintableAsciiStaysAsItIs) {
  EXPECT_EQ(PercentEncode("no source \"mailer\" ~ here!", 100), "no source \"mailer\" ~ here!");
}

TEST(PercentEncodingTest, AllElseIsEncoded) {
  EXPECT_EQ(PercentEncode("100%\n\x7f\xc3\xbc", 100), "100%25%0A%7F%C3%BC");
  EXPECT_EQ(PercentEncode(absl::string_view("\0", 1), 100), "%00");
}

TEST(PercentEncodingTest, IsCutBetweenCharacters) {
  EXPECT_EQ(PercentEncode("abcdef", 3), "abc");
  EXPECT_EQ(PercentEncode("a\n", 3), "a");
  EXPECT_EQ(PercentEncode("a\xc3\xbc", 6), "a");
  EXPECT_EQ(PercentEncode("a\xc3\xbc", 7), "a%C3%BC");
  EXPECT_EQ(PercentEncode("anything", 0), "");
}

}  // namespace
}  // namespace hookgate
