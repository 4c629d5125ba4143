#include "client/token_source.h"

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TokenSourceTest : public testing::Test {
 protected:
  void Write(const std::string& content) const { std::ofstream(path_) << content; }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/token");
};

// A token that was replaced took effect when every client had been restarted.
TEST_F(TokenSourceTest, ReadsTheFileForEveryCall) {
  Write("one\n");
  TokenSource source("", path_);
  EXPECT_EQ(source.Get(), "one");
  Write(" two ");
  EXPECT_EQ(source.Get(), "two");
}

TEST_F(TokenSourceTest, KeepsTheTokenBeforeWhileTheFileHoldsNone) {
  Write("one");
  TokenSource source("first", path_);
  EXPECT_EQ(source.Get(), "one");
  for (const char* const content : {"", "\n", "to ken", "\x01"}) {
    Write(content);
    EXPECT_EQ(source.Get(), "one") << content;
  }
  ASSERT_EQ(std::remove(path_.c_str()), 0);
  EXPECT_EQ(source.Get(), "one");
  EXPECT_EQ(TokenSource("first", path_).Get(), "first");
  EXPECT_EQ(TokenSource("first", "").Get(), "first");
  EXPECT_EQ(TokenSource("", path_).Get(), "");
}

TEST_F(TokenSourceTest, ErrorsNameTheFileAndNotWhatItHolds) {
  Write("hush hush");
  const std::string message(ReadTokenFile(path_).status().message());
  EXPECT_THAT(message, AllOf(HasSubstr(path_), Not(HasSubstr("hush"))));
  EXPECT_THAT(std::string(ReadTokenFile(path_ + ".not").status().message()),
              HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace hookgate
