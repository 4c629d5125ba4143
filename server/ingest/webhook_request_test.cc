#include "server/ingest/webhook_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/ingest/fake_head.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

class WebhookRequestTest : public testing::Test {
 protected:
  std::string joined_;
};

TEST_F(WebhookRequestTest, SourceIsTheLastPartOfThePath) {
  EXPECT_EQ(*SourceNameOf("/webhooks/openai"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai?x=/y"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai?"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai/"), "openai");
  EXPECT_EQ(*SourceNameOf("/webhooks/openai/?x=y"), "openai");
}

TEST_F(WebhookRequestTest, OtherPathsAreNotFound) {
  for (const char* target :
       {"", "/", "/webhooks", "/webhooks/", "/webhooks/?openai", "/webhooks/openai//",
        "/webhooks//openai", "/webhooks/a/b", "/Webhooks/openai", "webhooks/openai", "*",
        "//webhooks/openai", "/x/webhooks/openai", "?/webhooks/openai"}) {
    const auto source = SourceNameOf(target);
    EXPECT_TRUE(absl::IsNotFound(source.status())) << target;
    EXPECT_EQ(ReasonOf(source.status()), reason::kNotFound) << target;
  }
}

constexpr char kTraceParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST_F(WebhookRequestTest, TheSendersTraceIsReadInAnyCase) {
  const SenderTrace trace = SenderTraceOf(FakeHead::With(
      {{"TraceParent", kTraceParent}, {"tracestate", "a=1"}, {"TRACESTATE", "b=2,c=3"}}));
  EXPECT_EQ(trace.trace_parent, kTraceParent);
  EXPECT_EQ(trace.trace_state, "a=1,b=2,c=3");
}

// A tracestate says nothing without its traceparent; a traceparent does without a tracestate.
TEST_F(WebhookRequestTest, WhatIsNotValidOfTheSendersTraceIsLeftOut) {
  for (const FakeHead& head :
       {FakeHead::With({{"tracestate", "a=1"}}),
        FakeHead::With({{"traceparent", "00-0-0-01"}, {"tracestate", "a=1"}}),
        FakeHead::With({{"traceparent", kTraceParent},
                        {"traceparent", kTraceParent},
                        {"tracestate", "a=1"}})}) {
    EXPECT_EQ(SenderTraceOf(head).trace_parent, "");
    EXPECT_EQ(SenderTraceOf(head).trace_state, "");
  }
  for (const std::string& state :
       {std::string("A=1"), std::string(512, 'a') + "=1", std::string(60'000, ',')}) {
    const SenderTrace trace =
        SenderTraceOf(FakeHead::With({{"traceparent", kTraceParent}, {"tracestate", state}}));
    EXPECT_EQ(trace.trace_parent, kTraceParent);
    EXPECT_EQ(trace.trace_state, "");
  }
}

TEST_F(WebhookRequestTest, EveryContentEncodingButIdentityIsSeen) {
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Type", "application/json"}})));
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Encoding", ""}})));
  EXPECT_FALSE(IsEncoded(FakeHead::With({{"Content-Encoding", "Identity"}})));
  EXPECT_TRUE(IsEncoded(FakeHead::With({{"content-encoding", "gzip"}})));
  EXPECT_TRUE(IsEncoded(FakeHead::With({{"Content-Encoding", "identity, gzip"}})));
  EXPECT_TRUE(
      IsEncoded(FakeHead::With({{"Content-Encoding", "br"}, {"Content-Encoding", "identity"}})));
}

TEST_F(WebhookRequestTest, SignedHeadersAreFoundUnderBothNamesInAnyCase) {
  for (const FakeHead& head :
       {FakeHead::With(
            {{"webhook-id", "i"}, {"webhook-timestamp", "t"}, {"webhook-signature", "s"}}),
        FakeHead::With({{"Svix-Id", "i"}, {"SVIX-TIMESTAMP", "t"}, {"svix-signature", "s"}}),
        FakeHead::With(
            {{"Webhook-Id", "i"}, {"svix-timestamp", "t"}, {"WEBHOOK-signature", "s"}})}) {
    const auto headers = SignedHeadersOf(head, joined_);
    ASSERT_TRUE(headers.ok()) << headers.status();
    EXPECT_EQ(headers->id, "i");
    EXPECT_EQ(headers->timestamp, "t");
    EXPECT_EQ(headers->signature, "s");
  }
}

TEST_F(WebhookRequestTest, AbsentIsNullAndEmptyIsNot) {
  const FakeHead head =
      FakeHead::With({{"webhook-id", ""}, {"webhook-identity", "x"}, {"webhook-", "x"}});
  const auto headers = SignedHeadersOf(head, joined_);
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_NE(headers->id.data(), nullptr);
  EXPECT_EQ(headers->id, "");
  EXPECT_EQ(headers->timestamp.data(), nullptr);
  EXPECT_EQ(headers->signature.data(), nullptr);
}

TEST_F(WebhookRequestTest, EqualRepeatsAreOneHeader) {
  const FakeHead head =
      FakeHead::With({{"webhook-id", "i"}, {"svix-id", "i"}, {"Webhook-ID", "i"}});
  const auto headers = SignedHeadersOf(head, joined_);
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_EQ(headers->id, "i");
}

TEST_F(WebhookRequestTest, DifferentRepeatsConflict) {
  for (const FakeHead& head :
       {FakeHead::With({{"webhook-id", "1"}, {"webhook-id", "2"}}),
        FakeHead::With({{"webhook-signature", "1"}, {"svix-signature", "2"}}),
        FakeHead::With(
            {{"webhook-signature", "1"}, {"webhook-signature", "2"}, {"svix-signature", "1"}}),
        FakeHead::With({{"webhook-timestamp", "1"}, {"svix-timestamp", ""}}),
        FakeHead::With({{"webhook-id", ""}, {"webhook-id", "1"}}),
        FakeHead::With({{"svix-id", "1"}, {"webhook-id", "2"}, {"svix-id", "2"}})}) {
    const auto headers = SignedHeadersOf(head, joined_);
    EXPECT_TRUE(absl::IsUnauthenticated(headers.status()));
    EXPECT_EQ(ReasonOf(headers.status()), reason::kConflictingHeaders);
  }
}

// A sender that rotates its secret may write each signature in a line of its own. That was refused,
// though several lines of a list are the list.
TEST_F(WebhookRequestTest, LinesOfTheSignatureAreOneList) {
  for (const FakeHead& head :
       {FakeHead::With({{"webhook-signature", "v1,a v1,b"}, {"Webhook-Signature", "v1,c"}}),
        FakeHead::With({{"svix-signature", "v1,a v1,b"}, {"svix-signature", "v1,c"}}),
        FakeHead::With({{"svix-signature", "v1,a v1,b"},
                        {"webhook-signature", "v1,a v1,b"},
                        {"svix-signature", "v1,c"},
                        {"webhook-signature", "v1,c"}})}) {
    std::string joined;
    const auto headers = SignedHeadersOf(head, joined);
    ASSERT_TRUE(headers.ok()) << headers.status();
    EXPECT_EQ(headers->signature, "v1,a v1,b v1,c");
    EXPECT_EQ(headers->signature.data(), joined.data());
  }
}

TEST_F(WebhookRequestTest, ContentTypeThatIsNoJsonIsNamed) {
  const auto problem = [](const char* type) {
    return std::string(ContentTypeProblem(FakeHead::With({{"Content-Type", type}})));
  };
  EXPECT_THAT(problem("application/x-www-form-urlencoded; charset=utf-8"), HasSubstr("a form"));
  EXPECT_THAT(problem("Multipart/Form-Data;boundary=x"), HasSubstr("multipart"));
  EXPECT_THAT(problem("text/xml"), HasSubstr("XML"));
  for (const char* type : {"application/json", "", "text/plain", "application/cloudevents+json"}) {
    EXPECT_EQ(problem(type), "");
  }
}

TEST_F(WebhookRequestTest, OnlyWellFormedIdsAreFitForLogs) {
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
