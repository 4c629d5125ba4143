// Webhooks as a sender would make them: right by default, and wrong where a test wants it.
#ifndef HOOKGATE_TESTS_SUPPORT_SIGNED_WEBHOOK_H_
#define HOOKGATE_TESTS_SUPPORT_SIGNED_WEBHOOK_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/support/secret_watch.h"

namespace hookgate {

// A batch.failed body about `subject`, whose id is kBodyMarker (secret_watch.h).
std::string BatchFailedBody(absl::string_view subject = "batch_1");

// A request to POST one webhook.
struct SignedWebhook {
  std::string webhook_id;  // "": a new one
  std::string body = BatchFailedBody();
  std::string source = "openai";
  std::string secret = kTestSecret;
  absl::Time webhook_time = absl::Now();
  std::string header_prefix = "webhook-";
  std::vector<std::pair<std::string, std::string>> more_fields;

  // webhook-id, webhook-timestamp and webhook-signature, for the body as it is now. Fills in
  // webhook_id.
  std::vector<std::pair<std::string, std::string>> SignedFields();
  // The whole HTTP request.
  std::string Request();
};

// "POST /webhooks/SOURCE" with `fields` and a Content-Length that fits `body`.
std::string WebhookRequest(absl::string_view source,
                           const std::vector<std::pair<std::string, std::string>>& fields,
                           absl::string_view body);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_SIGNED_WEBHOOK_H_
