#include "server/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

TEST(Utf8Test, TextIs) {
  for (const char* text : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "zo\xc3\xab"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  EXPECT_TRUE(IsUtf8(std::string(1, '\0')));
}

// Each is what one of the rules of RFC 3629 forbids; protobuf would refuse the message that holds
// it.
TEST(Utf8Test, OtherBytesAreNot) {
  for (const char* bytes : {
           "\x80", "a\xbf",                     // a continuation without a beginning
           "\xc3", "\xe2\x82", "\xf0\x9f\x98",  // cut off
           "\xc3(", "\xe2\x28\xa1",             // another byte where one should go on
           "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",  // longer than needed
           "\xed\xa0\x80", "\xed\xbf\xbf",                  // halves of a pair of UTF-16
           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",  // beyond U+10FFFF
       }) {
    EXPECT_FALSE(IsUtf8(bytes)) << testing::PrintToString(std::string(bytes));
    EXPECT_FALSE(IsUtf8(std::string("before ") + bytes)) << "behind text";
  }
}

TEST(Utf8Test, WhatIsMadeOfBytesIsText) {
  EXPECT_EQ(AsUtf8("zo\xc3\xab", 100), "zo\xc3\xab");
  EXPECT_EQ(AsUtf8("zo\xeb", 100), "zo?");  // Latin-1
  EXPECT_EQ(AsUtf8("a\xe2\x82", 100), "a??");
  EXPECT_EQ(AsUtf8("", 0), "");
  // Between characters, however many bytes they have.
  EXPECT_EQ(AsUtf8("zo\xc3\xab", 3), "zo");
  EXPECT_EQ(AsUtf8("zo\xc3\xab!", 4), "zo\xc3\xab");
  EXPECT_EQ(AsUtf8("\xff\xff", 1), "?");
}

}  // namespace
}  // namespace hookgate
