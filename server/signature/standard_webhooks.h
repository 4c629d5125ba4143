// Standard Webhooks signatures: "v1", which is HMAC-SHA256 and what OpenAI sends, and "v1a", which
// is Ed25519 (ed25519.h). Both sign "id.timestamp.body", the texts and bytes exactly as received.
//
// Pure functions: no clock, no I/O, no state; safe from any thread. Source: Standard Webhooks 1.0,
// "Signature scheme" and "Verifying signatures", and where that is silent the openai-python SDK's
// `webhooks.verify_signature`. Vectors: tests/conformance/standard_webhooks.txt; how it differs
// from the libraries: tests/conformance/sdk/differences.py.
#ifndef HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_
#define HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "server/signature/ed25519.h"
#include "server/signature/hmac_sha256.h"

namespace hookgate {

// The three headers as received: views into the request. An absent header is a null view
// (data() == nullptr); an empty one is not.
struct SignedHeaders {
  // webhook-id: 1 to 256 printable ASCII bytes, no blanks.
  absl::string_view id;
  // webhook-timestamp: seconds since the Unix epoch, 1 to 12 decimal digits and nothing else.
  absl::string_view timestamp;
  // webhook-signature: entries "v1,<base64>" and "v1a,<base64>", separated by blanks, in at most
  // 4096 bytes: at most 64 entries, 8 of them with the tag v1a. Entries with other tags are
  // skipped, and so is a comma behind an entry, which a proxy adds when it joins several lines.
  absl::string_view signature;
};

// What a webhook is verified with: the shared secret of scheme v1, or the sender's public key of
// scheme v1a. Ready to use. Copies are cheap enough for configuration, and are never printed.
class Secret {
 public:
  // "whsec_" followed by strict base64 is a shared secret; "whpk_" followed by strict base64 of 32
  // bytes, a public key.
  //   name  how logs call it
  // INVALID_ARGUMENT if `text` is anything else: empty, blank, without a known prefix, not base64
  // after it, no usable public key, or with the prefix "whsk_": that is a sender's private key,
  // which has no business in a gateway. No message holds any part of `text`. What people paste is
  // read by ReadPastedSecret (pasted_secret.h), which says more.
  static absl::StatusOr<Secret> Parse(absl::string_view name, absl::string_view text);

  // A shared secret that is the bytes of `text` itself, whatever they are, as the OpenAI SDKs read
  // a text without a prefix. INVALID_ARGUMENT if `text` is empty or blank.
  static absl::StatusOr<Secret> FromRawText(absl::string_view name, absl::string_view text);

  const std::string& name() const { return name_; }
  // The shared secret; empty if this is a public key, whose text is no secret.
  const std::string& key() const { return key_; }
  // The same, ready to sign with. REQUIRES: this is a shared secret. A public key is never an HMAC
  // key.
  const HmacSha256Key& hmac_key() const { return *hmac_key_; }
  // Null if this is a shared secret.
  const Ed25519PublicKey* public_key() const {
    return public_key_.has_value() ? &*public_key_ : nullptr;
  }
  // By which a key is known again without being written down: 16 bits of a hash of it with `salt`,
  // which is random. Two keys have the same with a chance of 1 in 65,536; and somebody who guesses
  // keys learns no more than these 16 bits, however weak the key is.
  uint16_t Tag(absl::string_view salt) const;

 private:
  Secret(std::string name, std::string key);
  Secret(std::string name, Ed25519PublicKey public_key);

  // Exactly one of hmac_key_ and public_key_ is set.
  std::string name_;
  std::string key_;  // of hmac_key_
  absl::optional<HmacSha256Key> hmac_key_;
  absl::optional<Ed25519PublicKey> public_key_;
};

// Which of several secrets; few.
using SecretIndices = absl::InlinedVector<size_t, 2>;

struct VerifiedWebhook {
  absl::Time webhook_time;  // of this attempt, from the timestamp header
  // Which of the secrets had signed, ascending; at least one. A sender that rotates may sign with
  // two.
  SecretIndices secret_indices;
};

// Accepts the request if any "v1" entry of `headers.signature` matches any shared secret of
// `secrets` over "id.timestamp.body", or any "v1a" entry any public key. Never the one with the
// other: who has a public key could else sign with it. Mixing both is a rotation from one scheme to
// the other.
//   now        wall time at which the request had been received
//   tolerance  allowed distance between `now` and the timestamp, either way, inclusive; compared in
//              whole seconds, as the SDKs do
// Errors, all UNAUTHENTICATED, told apart by reason (base/reason.h) and found in this order:
//   missing_header      a header is absent
//   malformed_header    a header is not as SignedHeaders says
//   timestamp_too_old, timestamp_too_new
//   signature_mismatch  no entry matches, or there is none of a scheme that any of `secrets` is for
// No message holds a secret, an expected signature or any byte of the request. Every shared secret
// is tried with every v1 entry, compared in constant time.
absl::StatusOr<VerifiedWebhook> Verify(const SignedHeaders& headers, absl::string_view body,
                                       absl::Span<const Secret> secrets, absl::Time now,
                                       absl::Duration tolerance);

// The "v1,<base64>" entry that Verify accepts. For senders: tests and the command-line client.
// REQUIRES: `secret` is no public key, which signs nothing.
std::string Sign(const Secret& secret, absl::string_view id, absl::string_view timestamp,
                 absl::string_view body);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_SIGNATURE_STANDARD_WEBHOOKS_H_
