#include "server/ingest/webhook_request.h"

#include <gtest/gtest.h>

#include <string>

#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/ingest/fake_head.h"

namespace hookgate {
namespace {

TEST(WebhookRequestTest, SourceIsTheLastPartOfThePath) {
  EXPECT_EQ(*SourceNameOf("/webhooks/openai"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai?x=/y"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai?"), "openai");
}

TEST(WebhookRequestTest, OtherPathsAreNotFound) {
  for (const char* target :
       {"", "/", "/webhooks", "/webhooks/", "/webhooks/?openai", "/webhooks/openai/",
        "/webhooks//openai", "/webhooks/a/b", "/Webhooks/openai", "webhooks/openai", "*",
        "//webhooks/openai", "/x/webhooks/openai", "?/webhooks/openai"}) {
    const auto source = SourceNameOf(target);
    EXPECT_TRUE(absl::IsNotFound(source.status())) << target;
    EXPECT_EQ(ReasonOf(source.status()), reason::kNotFound) << target;
  }
}

TEST(WebhookRequestTest, EveryContentEncodingButIdentityIsSeen) {
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Type", "application/json"}})));
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Encoding", ""}})));
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Encoding", "Identity"}})));
  EXPECT_TRUE(IsEncoded(FakeHead::With({{"content-encoding", "gzip"}})));
  EXPECT_TRUE(IsEncoded(FakeHead::With({{"Content-Encoding", "identity, gzip"}})));
  EXPECT_TRUE(
      IsEncoded(FakeHead::With({{"Content-Encoding", "br"}, {"Content-Encoding", "identity"}})));
}

TEST(WebhookRequestTest, SignedHeadersAreFoundUnderBothNamesInAnyCase) {
  for (const FakeHead& head :
       {FakeHead::With(
            {{"webhook-id", "i"}, {"webhook-timestamp", "t"}, {"webhook-signature", "s"}}),
        FakeHead::With({{"Svix-Id", "i"}, {"SVIX-TIMESTAMP", "t"}, {"svix-signature", "s"}}),
        FakeHead::With(
            {{"Webhook-Id", "i"}, {"svix-timestamp", "t"}, {"WEBHOOK-signature", "s"}})}) {
    const auto headers = SignedHeadersOf(head);
    ASSERT_TRUE(headers.ok()) << headers.status();
    EXPECT_EQ(headers->id, "i");
    EXPECT_EQ(headers->timestamp, "t");
    EXPECT_EQ(headers->signature, "s");
  }
}

TEST(WebhookRequestTest, AbsentIsNullAndEmptyIsNot) {
  const FakeHead head =
      FakeHead::With({{"webhook-id", ""}, {"webhook-identity", "x"}, {"webhook-", "x"}});
  const auto headers = SignedHeadersOf(head);
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_NE(headers->id.data(), nullptr);
  EXPECT_EQ(headers->id, "");
  EXPECT_EQ(headers->timestamp.data(), nullptr);
  EXPECT_EQ(headers->signature.data(), nullptr);
}

TEST(WebhookRequestTest, EqualRepeatsAreOneHeader) {
  const FakeHead head =
      FakeHead::With({{"webhook-id", "i"}, {"svix-id", "i"}, {"Webhook-ID", "i"}});
  const auto headers = SignedHeadersOf(head);
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_EQ(headers->id, "i");
}

TEST(WebhookRequestTest, DifferentRepeatsConflict) {
  for (const FakeHead& head :
       {FakeHead::With({{"webhook-id", "1"}, {"webhook-id", "2"}}),
        FakeHead::With({{"webhook-signature", "1"}, {"svix-signature", "2"}}),
        FakeHead::With({{"webhook-timestamp", "1"}, {"svix-timestamp", ""}}),
        FakeHead::With({{"webhook-id", ""}, {"webhook-id", "1"}}),
        FakeHead::With({{"svix-id", "1"}, {"webhook-id", "2"}, {"svix-id", "2"}})}) {
    const auto headers = SignedHeadersOf(head);
    EXPECT_TRUE(absl::IsUnauthenticated(headers.status()));
    EXPECT_EQ(ReasonOf(headers.status()), reason::kConflictingHeaders);
  }
}

TEST(WebhookRequestTest, OnlyWellFormedIdsAreFitForLogs) {
  const std::string longest(256, 'x');
  for (const std::string& id : {std::string("wh_1"), std::string("~!.\"\\"), longest}) {
    EXPECT_EQ(WellFormedIdOf({.id = id}), id);
  }
  for (const std::string& id : {longest + "x", std::string("a b"), std::string("a\nb"),
                                std::string("a\0b", 3), std::string("\xc3\xa9"), std::string()}) {
    EXPECT_EQ(WellFormedIdOf({.id = id}), "");
  }
  EXPECT_EQ(WellFormedIdOf({}), "");
}

}  // namespace
}  // namespace hookgate
