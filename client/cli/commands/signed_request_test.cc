#include "client/cli/commands/signed_request.h"

#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

Secret TestSecret() { return Secret::Parse("test", "whsec_c2VjcmV0").value(); }

HttpRequest Request(const Webhook& webhook, const std::string& url = "http://127.0.0.1:8080") {
  return SignedRequest(ParseHttpUrl(url).value(), webhook, TestSecret());
}

std::string Field(const HttpRequest& request, const std::string& name) {
  for (const auto& [field, value] : request.fields) {
    if (field == name) return value;
  }
  return "";
}

absl::Status Verified(const HttpRequest& request) {
  const std::string id = Field(request, "webhook-id");
  const std::string timestamp = Field(request, "webhook-timestamp");
  const std::string signature = Field(request, "webhook-signature");
  return Verify({id, timestamp, signature}, request.body, {TestSecret()}, kNow, absl::Minutes(5))
      .status();
}

TEST(SignedRequestTest, IsWhatAGatewayAccepts) {
  const HttpRequest request =
      Request({.source = "openai", .webhook_id = "wh_1", .webhook_time = kNow, .body = "{}"});
  EXPECT_EQ(request.url.ToString(), "http://127.0.0.1:8080/webhooks/openai");
  EXPECT_EQ(Field(request, "content-type"), "application/json");
  EXPECT_EQ(Field(request, "webhook-id"), "wh_1");
  EXPECT_EQ(Field(request, "webhook-timestamp"), "1750000000");
  EXPECT_EQ(request.body, "{}");
  EXPECT_TRUE(Verified(request).ok());
}

TEST(SignedRequestTest, KeepsTheGatewaysPath) {
  const Webhook webhook = {.source = "a", .webhook_id = "wh_1", .webhook_time = kNow, .body = ""};
  EXPECT_EQ(Request(webhook, "http://h/gate/").url.ToString(), "http://h/gate/webhooks/a");
}

TEST(SignedRequestTest, ACorruptSignatureIsWellFormedAndWrong) {
  for (int i = 0; i < 100; ++i) {
    Webhook webhook = {.source = "openai",
                       .webhook_id = "wh_" + std::to_string(i),
                       .webhook_time = kNow,
                       .body = "{}"};
    const std::string right = Field(Request(webhook), "webhook-signature");
    webhook.corrupt_signature = true;
    const HttpRequest request = Request(webhook);
    EXPECT_NE(Field(request, "webhook-signature"), right);
    EXPECT_EQ(Field(request, "webhook-signature").size(), right.size());
    EXPECT_EQ(Verified(request).code(), absl::StatusCode::kUnauthenticated);
  }
}

TEST(CurlCommandTest, QuotesWhatAShellWouldRead) {
  HttpRequest request;
  request.url = ParseHttpUrl("http://h:1").value();
  request.fields = {{"a", "b'c"}};
  request.body = R"({"x":"it's $HOME"})";
  EXPECT_EQ(CurlCommand(request, ""),
            "curl --silent --show-error --include 'http://h:1' \\\n"
            "  --header 'a: b'\\''c' \\\n"
            "  --data-raw '{\"x\":\"it'\\''s $HOME\"}'\n");
}

TEST(CurlCommandTest, NamesTheFileOfTheBody) {
  HttpRequest request;
  request.url = ParseHttpUrl("http://h:1").value();
  EXPECT_EQ(CurlCommand(request, "my file.json"),
            "curl --silent --show-error --include 'http://h:1' \\\n"
            "  --data-binary '@my file.json'\n");
}

}  // namespace
}  // namespace hookgate::cli
