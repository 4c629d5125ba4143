// Standard Webhooks symmetric signatures ("v1": HMAC-SHA256, base64), as OpenAI sends them.
//
// Pure functions: no clock, no I/O, no state; safe from any thread. Source: Standard Webhooks 1.0,
// "Signature scheme" and "Verifying signatures", and where that is silent the openai-python SDK's
// `webhooks.verify_signature`. Vectors: tests/conformance/standard_webhooks.txt.
#ifndef HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_
#define HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace hookgate {

// The three headers as received: views into the request. An absent header is a null view
// (data() == nullptr); an empty one is not.
struct SignedHeaders {
  // webhook-id: 1 to 256 printable ASCII bytes, no blanks.
  absl::string_view id;
  // webhook-timestamp: seconds since the Unix epoch, 1 to 12 decimal digits and nothing else.
  absl::string_view timestamp;
  // webhook-signature: at most 64 entries "v1,<base64>", separated by blanks, in at most 4096
  // bytes. Entries with other tags, such as "v1a,", are skipped.
  absl::string_view signature;
};

// A signing key, ready to use. Copies are cheap enough for configuration, and are never printed.
class Secret {
 public:
  // "whsec_" followed by strict base64, or without that prefix the bytes of the text itself, as the
  // OpenAI SDKs read it.
  //   name  how logs call it
  // INVALID_ARGUMENT if `text` is empty, blank, not base64 after the prefix, or begins with "whpk_"
  // or "whsk_": those are keys of the asymmetric scheme "v1a", and whoever has the public one could
  // sign with its text. No message holds any part of `text`.
  static absl::StatusOr<Secret> Parse(absl::string_view name, absl::string_view text);

  const std::string& name() const { return name_; }
  const std::string& key() const { return key_; }

 private:
  Secret(std::string name, std::string key);

  std::string name_;
  std::string key_;
};

struct VerifiedWebhook {
  absl::Time webhook_time;  // of this attempt, from the timestamp header
  size_t secret_index = 0;  // the first of the secrets that had signed
};

// Accepts the request if any "v1" entry of `headers.signature` matches any of `secrets` over
// "id.timestamp.body", the texts and bytes exactly as received.
//   now        wall time at which the request had been received
//   tolerance  allowed distance between `now` and the timestamp, either way, inclusive; compared in
//              whole seconds, as the SDKs do
// Errors, all UNAUTHENTICATED, told apart by reason (base/reason.h) and found in this order:
//   missing_header      a header is absent
//   malformed_header    a header is not as SignedHeaders says
//   timestamp_too_old, timestamp_too_new
//   signature_mismatch  no entry matches, or there is none with the tag "v1"
// No message holds a secret, an expected signature or any byte of the request. Every secret is
// tried with every entry, compared in constant time.
absl::StatusOr<VerifiedWebhook> Verify(const SignedHeaders& headers, absl::string_view body,
                                       absl::Span<const Secret> secrets, absl::Time now,
                                       absl::Duration tolerance);

// The "v1,<base64>" entry that Verify accepts. For senders: tests and the command-line client.
std::string Sign(const Secret& secret, absl::string_view id, absl::string_view timestamp,
                 absl::string_view body);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_
