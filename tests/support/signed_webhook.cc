#include "tests/support/signed_webhook.h"

#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate {
namespace {

// Also apart from those of other processes that send to the same gateway.
std::string FreshWebhookId() {
  static std::atomic<int> last = 0;
  return absl::StrCat("wh_test_", getpid(), "_", ++last);
}

}  // namespace

std::string BatchFailedBody(absl::string_view subject) {
  return absl::StrCat(R"({"id":")", kBodyMarker, R"(","object":"event","created_at":1750000000,)",
                      R"("type":"batch.failed","data":{"id":")", subject, R"("}})");
}

std::vector<std::pair<std::string, std::string>> SignedWebhook::SignedFields() {
  if (webhook_id.empty()) webhook_id = FreshWebhookId();
  const std::string timestamp = absl::StrCat(absl::ToUnixSeconds(webhook_time));
  const std::string signature =
      Sign(Secret::Parse("test", secret).value(), webhook_id, timestamp, body);
  return {{header_prefix + "id", webhook_id},
          {header_prefix + "timestamp", timestamp},
          {header_prefix + "signature", signature}};
}

std::string SignedWebhook::Request() {
  std::vector<std::pair<std::string, std::string>> fields = SignedFields();
  fields.insert(fields.end(), more_fields.begin(), more_fields.end());
  return WebhookRequest(source, fields, body);
}

std::string WebhookRequest(absl::string_view source,
                           const std::vector<std::pair<std::string, std::string>>& fields,
                           absl::string_view body) {
  std::string request = absl::StrCat(
      "POST /webhooks/", source,
      " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: ", body.size(),
      "\r\n");
  for (const auto& [name, value] : fields) absl::StrAppend(&request, name, ": ", value, "\r\n");
  absl::StrAppend(&request, "\r\n", body);
  return request;
}

}  // namespace hookgate
