#include "server/rpc/page_token.h"

#include <gtest/gtest.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// A log that two processes have written: 1 to 9, and from 10 on.
EventLogHistory SampleHistory(HistoryMark newest = 0xb) {
  EventLogHistory history;
  history.epoch = "00000000000000aa";
  history.sequences = Stretches({{1, 0xa}, {10, newest}});
  return history;
}

class PageTokenTest : public testing::Test {
 protected:
  const EventLogHistory history_ = SampleHistory();
  const LogPoint point_ = {history_, 12};
};

PageToken SampleToken() {
  return {.start = absl::InfinitePast(),
          .end = absl::FromUnixMicros(2'000'000),
          .after = {.receive_time = absl::FromUnixMicros(1'234'567), .sequence = 42}};
}

TEST_F(PageTokenTest, ComesBackAsItWas) {
  const auto token = ParsePageToken(FormatPageToken(SampleToken(), point_, 7), point_, 7);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->start, absl::InfinitePast());
  EXPECT_EQ(token->end, SampleToken().end);
  EXPECT_EQ(token->after.receive_time, SampleToken().after.receive_time);
  EXPECT_EQ(token->after.sequence, 42);
}

TEST_F(PageTokenTest, TokenOfAnotherRequestOrLogIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), point_, 7);
  EXPECT_EQ(FieldOf(ParsePageToken(text, point_, 8).status()), "page_token");
  EventLogHistory other = SampleHistory();
  other.epoch = "00000000000000bb";
  EXPECT_EQ(FieldOf(ParsePageToken(text, {other, 12}, 7).status()), "page_token");
}

// A list was continued over a log that had been put back in between, and mixed two histories.
TEST_F(PageTokenTest, TokenOfAnotherHistoryIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), point_, 7);
  const EventLogHistory put_back = SampleHistory(/*newest=*/0xc);
  EXPECT_EQ(FieldOf(ParsePageToken(text, {put_back, 9}, 7).status()), "page_token");
  EXPECT_EQ(FieldOf(ParsePageToken(text, {put_back, 20}, 7).status()), "page_token");
  // What both have in common is the same list.
  const std::string before = FormatPageToken(SampleToken(), {history_, 9}, 7);
  EXPECT_TRUE(ParsePageToken(before, {put_back, 20}, 7).ok());
}

// A token of which one character had been copied wrongly was taken now and then, and the list went
// on somewhere else, or was empty.
TEST_F(PageTokenTest, EveryChangeOfOneCharacterIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), point_, 7);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int code = 0; code < 256; ++code) {
      std::string changed = text;
      changed[i] = static_cast<char>(code);
      if (changed == text) continue;
      EXPECT_EQ(FieldOf(ParsePageToken(changed, point_, 7).status()), "page_token") << changed;
    }
    std::string without = text;
    without.erase(i, 1);
    EXPECT_FALSE(ParsePageToken(without, point_, 7).ok()) << without;
    std::string twice = text;
    twice.insert(i, 1, text[i]);
    EXPECT_FALSE(ParsePageToken(twice, point_, 7).ok()) << twice;
    std::string swapped = text;
    if (i > 0) std::swap(swapped[i - 1], swapped[i]);
    EXPECT_EQ(ParsePageToken(swapped, point_, 7).ok(), swapped == text) << swapped;
  }
}

TEST_F(PageTokenTest, TokenOfVersion01IsRefused) {
  const auto token =
      ParsePageToken(absl::WebSafeBase64Escape("00000000000000aa.7.1.2.3.4"), point_, 7);
  EXPECT_EQ(FieldOf(token.status()), "page_token");
}

TEST_F(PageTokenTest, TextThatIsNoTokenIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), point_, 7);
  for (const std::string& bad :
       {std::string("x"), std::string("!!!!"), text.substr(1), text.substr(0, text.size() / 2),
        text + text, std::string(100'000, 'A')}) {
    EXPECT_EQ(FieldOf(ParsePageToken(bad, point_, 7).status()), "page_token") << bad.substr(0, 50);
  }
}

// A fuzzer found that blanks and signs before the numbers were passed over.
TEST_F(PageTokenTest, OtherSpellingsOfATokenAreRefused) {
  constexpr absl::string_view kWritten = "00000000000000aa.7.1.2.3.4.12.11";
  for (const absl::string_view plain :
       {kWritten, absl::string_view("00000000000000aa.7. 1.2.3.4.12.11"),
        absl::string_view("00000000000000aa.7.1.2.3.+4.12.11"),
        absl::string_view("00000000000000aa.07.1.2.3.4.12.11"),
        absl::string_view("00000000000000aa.7.1.2.3.4.012.11"),
        absl::string_view("00000000000000aa.7.1.2.3.4.12.+11"),
        absl::string_view("00000000000000aa.7.1.2.3.4.12")}) {
    const bool as_written = plain == kWritten;
    const std::string token = absl::WebSafeBase64Escape(
        absl::StrCat(plain, ".", absl::Hex(RequestFingerprint(plain), absl::kZeroPad16)));
    EXPECT_EQ(ParsePageToken(token, point_, 7).ok(), as_written) << plain;
  }
}

}  // namespace
}  // namespace hookgate
