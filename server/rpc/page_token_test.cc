#include "server/rpc/page_token.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kEpoch[] = "00000000000000aa";

PageToken SampleToken() {
  return {.start = absl::InfinitePast(),
          .end = absl::FromUnixMicros(2'000'000),
          .after = {.receive_time = absl::FromUnixMicros(1'234'567), .sequence = 42}};
}

TEST(PageTokenTest, ComesBackAsItWas) {
  const auto token = ParsePageToken(FormatPageToken(SampleToken(), kEpoch, 7), kEpoch, 7);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->start, absl::InfinitePast());
  EXPECT_EQ(token->end, SampleToken().end);
  EXPECT_EQ(token->after.receive_time, SampleToken().after.receive_time);
  EXPECT_EQ(token->after.sequence, 42);
}

TEST(PageTokenTest, TokenOfAnotherRequestOrLogIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), kEpoch, 7);
  EXPECT_EQ(FieldOf(ParsePageToken(text, kEpoch, 8).status()), "page_token");
  EXPECT_EQ(FieldOf(ParsePageToken(text, "00000000000000bb", 7).status()), "page_token");
}

TEST(PageTokenTest, TextThatIsNoTokenIsRefused) {
  const std::string text = FormatPageToken(SampleToken(), kEpoch, 7);
  for (const std::string& bad :
       {std::string("x"), std::string("!!!!"), text.substr(1), text.substr(0, text.size() / 2),
        text + text, std::string(100'000, 'A')}) {
    EXPECT_EQ(FieldOf(ParsePageToken(bad, kEpoch, 7).status()), "page_token") << bad.substr(0, 50);
  }
}

// A fuzzer found that blanks and signs before the numbers were passed over.
TEST(PageTokenTest, OtherSpellingsOfATokenAreRefused) {
  for (const char* const plain : {"00000000000000aa.7.1.2.3.4", "00000000000000aa.7. 1.2.3.4",
                                  "00000000000000aa.7.1.2.3.+4", "00000000000000aa.07.1.2.3.4"}) {
    const bool as_written = absl::string_view(plain) == "00000000000000aa.7.1.2.3.4";
    EXPECT_EQ(ParsePageToken(absl::WebSafeBase64Escape(plain), kEpoch, 7).ok(), as_written)
        << plain;
  }
}

}  // namespace
}  // namespace hookgate
