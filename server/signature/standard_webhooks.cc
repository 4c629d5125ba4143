#include "server/signature/standard_webhooks.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/base/logging.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kSecretPrefix[] = "whsec_";
constexpr char kPublicKeyPrefix[] = "whpk_";
constexpr char kPrivateKeyPrefix[] = "whsk_";
constexpr char kV1Tag[] = "v1,";
constexpr char kV1aTag[] = "v1a,";

constexpr size_t kMaxIdBytes = 256;
// Reaches the year 33658, and fits int64 without a thought.
constexpr size_t kMaxTimestampDigits = 12;
// Rotation puts two entries here, perhaps three. The bounds keep a stranger's request cheap.
constexpr size_t kMaxSignatureBytes = 4096;
constexpr size_t kMaxSignatureEntries = 64;
constexpr size_t kMaxV1aEntries = 8;  // Verifying one takes a tenth of a millisecond.

absl::Status Refuse(absl::string_view reason, absl::string_view message) {
  return ErrorWithReason(absl::StatusCode::kUnauthenticated, reason, message);
}

// Canonical base64 only: decoders that forgive blanks, missing padding or stray bits would let two
// texts be one key, and a truncated paste be a shorter key.
std::optional<std::string> DecodeStrictBase64(absl::string_view text) {
  std::string bytes;
  if (!absl::Base64Unescape(text, &bytes) || absl::Base64Escape(bytes) != text) return std::nullopt;
  return bytes;
}

absl::Status CheckPresence(const SignedHeaders& headers) {
  std::vector<absl::string_view> missing;
  if (headers.id.data() == nullptr) missing.push_back("webhook-id");
  if (headers.timestamp.data() == nullptr) missing.push_back("webhook-timestamp");
  if (headers.signature.data() == nullptr) missing.push_back("webhook-signature");
  if (missing.empty()) return absl::OkStatus();
  return Refuse(reason::kMissingHeader,
                absl::StrCat("missing: ", absl::StrJoin(missing, ", "),
                             "; a signed webhook has webhook-id, webhook-timestamp and "
                             "webhook-signature"));
}

absl::Status CheckId(absl::string_view id) {
  if (id.empty() || id.size() > kMaxIdBytes) {
    return Refuse(
        reason::kMalformedHeader,
        absl::StrCat("webhook-id has ", id.size(), " bytes; it must have 1 to ", kMaxIdBytes));
  }
  if (!std::all_of(id.begin(), id.end(), absl::ascii_isgraph)) {
    return Refuse(
        reason::kMalformedHeader,
        "webhook-id holds a blank, a control character or a byte that is not ASCII; it must "
        "be printable ASCII");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> ParseTimestamp(absl::string_view text) {
  int64_t seconds = 0;
  if (text.empty() || text.size() > kMaxTimestampDigits ||
      !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(text, &seconds)) {
    return Refuse(
        reason::kMalformedHeader,
        absl::StrCat("webhook-timestamp is not a Unix time; it must be whole seconds, as 1 to ",
                     kMaxTimestampDigits, " decimal digits"));
  }
  return absl::FromUnixSeconds(seconds);
}

absl::Status CheckWindow(absl::Time webhook_time, absl::Time now, absl::Duration tolerance) {
  const absl::Duration limit = absl::Trunc(tolerance, absl::Seconds(1));
  const absl::Duration age = absl::FromUnixSeconds(absl::ToUnixSeconds(now)) - webhook_time;
  const auto message = [limit](absl::Duration distance, absl::string_view direction) {
    return absl::StrCat("webhook-timestamp is ", absl::ToInt64Seconds(distance), " s ", direction,
                        " than now; at most ", absl::ToInt64Seconds(limit), " s are allowed");
  };
  if (age > limit) return Refuse(reason::kTimestampTooOld, message(age, "older"));
  if (-age > limit) return Refuse(reason::kTimestampTooNew, message(-age, "newer"));
  return absl::OkStatus();
}

// The base64 texts of entries with one tag. Usually one.
using EntryTexts = absl::InlinedVector<absl::string_view, 2>;

// The same, by tag.
struct SignatureEntries {
  EntryTexts v1;
  EntryTexts v1a;
  size_t others = 0;
};

absl::Status CheckCount(size_t count, size_t most, absl::string_view what) {
  if (count <= most) return absl::OkStatus();
  return Refuse(reason::kMalformedHeader, absl::StrCat("webhook-signature has ", count, " ", what,
                                                       "; at most ", most, " are allowed"));
}

absl::StatusOr<SignatureEntries> ParseSignature(absl::string_view header) {
  RETURN_IF_ERROR(CheckCount(header.size(), kMaxSignatureBytes, "bytes"));
  SignatureEntries entries;
  for (absl::string_view entry :
       absl::StrSplit(header, absl::ByAnyChar(" \t\n\v\f\r"), absl::SkipEmpty())) {
    // Of a proxy that joined several lines (RFC 9110, section 5.3); base64 has none.
    absl::ConsumeSuffix(&entry, ",");
    if (absl::ConsumePrefix(&entry, kV1Tag)) {
      entries.v1.push_back(entry);
    } else if (absl::ConsumePrefix(&entry, kV1aTag)) {
      entries.v1a.push_back(entry);
    } else {
      ++entries.others;
    }
  }
  RETURN_IF_ERROR(CheckCount(entries.v1.size() + entries.v1a.size() + entries.others,
                             kMaxSignatureEntries, "entries"));
  RETURN_IF_ERROR(CheckCount(entries.v1a.size(), kMaxV1aEntries, "v1a entries"));
  return entries;
}

// The texts are compared, not what they decode to: base64 has one canonical text for a digest.
bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// What was signed, in parts.
struct SignedParts {
  absl::string_view id;
  absl::string_view timestamp;
  absl::string_view body;
};

// The base64 text of an entry that matches.
class ExpectedSignature {
 public:
  ExpectedSignature(const HmacSha256Key& key, const SignedParts& parts) {
    const HmacSha256Key::DigestBytes digest =
        key.Digest({parts.id, ".", parts.timestamp, ".", parts.body});
    EVP_EncodeBlock(text_.data(), digest.data(), static_cast<int>(digest.size()));
  }

  absl::string_view text() const {
    return {reinterpret_cast<const char*>(text_.data()), text_.size() - 1};
  }

 private:
  // Four characters for each three bytes that have begun, and what ends a C string.
  std::array<unsigned char, (HmacSha256Key::kDigestBytes + 2) / 3 * 4 + 1> text_;
};

// No early end: how long this takes must not tell which entry matched.
bool MatchesSharedSecret(const HmacSha256Key& key, const EntryTexts& v1, const SignedParts& parts) {
  const ExpectedSignature expected(key, parts);
  bool matches = false;
  for (absl::string_view entry : v1) {
    const bool equal = EqualInConstantTime(entry, expected.text());
    matches = matches || equal;
  }
  return matches;
}

// All of it is public, so this may end as soon as it knows.
bool MatchesPublicKey(const Ed25519PublicKey& key, const EntryTexts& v1a,
                      const SignedParts& parts) {
  if (v1a.empty()) return false;
  // Ed25519 goes over the message twice, so OpenSSL wants it whole.
  const std::string message = absl::StrCat(parts.id, ".", parts.timestamp, ".", parts.body);
  return std::any_of(v1a.begin(), v1a.end(), [&](absl::string_view entry) {
    const std::optional<std::string> signature = DecodeStrictBase64(entry);
    return signature.has_value() && key.Verifies(*signature, message);
  });
}

// How many entries there are that any of `secrets` could match, and how they are called.
struct Candidates {
  size_t count = 0;
  absl::string_view tags;  // "v1", "v1a" or "v1 or v1a"
};

Candidates CandidatesFor(absl::Span<const Secret> secrets, const SignatureEntries& entries) {
  const auto is_public = [](const Secret& secret) { return secret.public_key() != nullptr; };
  const size_t publics = std::count_if(secrets.begin(), secrets.end(), is_public);
  if (publics == 0) return {.count = entries.v1.size(), .tags = "v1"};
  if (publics == secrets.size()) return {.count = entries.v1a.size(), .tags = "v1a"};
  return {.count = entries.v1.size() + entries.v1a.size(), .tags = "v1 or v1a"};
}

absl::Status Mismatch(absl::Span<const Secret> secrets, const SignatureEntries& entries,
                      bool empty_body) {
  const Candidates candidates = CandidatesFor(secrets, entries);
  if (candidates.count == 0) {
    const size_t all = entries.v1.size() + entries.v1a.size() + entries.others;
    return Refuse(reason::kSignatureMismatch,
                  absl::StrCat("webhook-signature has no ", candidates.tags, " entry, and ", all,
                               " of other kinds; the configured secrets check \"v1,<base64>\" by a "
                               "shared secret, \"v1a,<base64>\" by a public key"));
  }
  if (empty_body) {
    return Refuse(reason::kSignatureMismatch,
                  "the body is empty, and that is not what was signed: it was lost in transit, or "
                  "never sent");
  }
  return Refuse(reason::kSignatureMismatch,
                absl::StrCat("none of the ", candidates.tags, " entries in webhook-signature (",
                             candidates.count, ") matches any configured secret (", secrets.size(),
                             "); it was signed with another secret, or changed in transit"));
}

}  // namespace

absl::StatusOr<Secret> Secret::Parse(absl::string_view name, absl::string_view text) {
  const auto refuse = [name](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat("secret \"", name, "\" ", message));
  };
  const auto refuse_base64 = [&refuse](absl::string_view prefix) {
    return refuse(absl::StrCat("is not base64 after ", prefix,
                               "; give it as the sender shows it, with the padding at its end and "
                               "without quotes, blanks or "
                               "line breaks"));
  };
  if (absl::StripAsciiWhitespace(text).empty()) return refuse("is empty or blank");
  if (absl::StartsWith(text, kPrivateKeyPrefix)) {
    return refuse(
        "is a private key (whsk_), which signs: it belongs to the sender alone, not in a gateway; "
        "give the public key, which begins with whpk_, and consider this private key as leaked");
  }
  if (absl::ConsumePrefix(&text, kPublicKeyPrefix)) {
    const std::optional<std::string> bytes = DecodeStrictBase64(text);
    if (!bytes.has_value()) return refuse_base64(kPublicKeyPrefix);
    absl::StatusOr<Ed25519PublicKey> public_key = Ed25519PublicKey::FromBytes(*bytes);
    if (!public_key.ok()) {
      return refuse(absl::StrCat("is not a public key: ", public_key.status().message()));
    }
    return Secret(std::string(name), *std::move(public_key));
  }
  if (!absl::ConsumePrefix(&text, kSecretPrefix)) {
    return refuse("begins neither with whsec_ nor with whpk_");
  }
  std::optional<std::string> key = DecodeStrictBase64(text);
  if (!key.has_value() || key->empty()) return refuse_base64(kSecretPrefix);
  return Secret(std::string(name), *std::move(key));
}

absl::StatusOr<Secret> Secret::FromRawText(absl::string_view name, absl::string_view text) {
  if (absl::StripAsciiWhitespace(text).empty()) {
    return absl::InvalidArgumentError(absl::StrCat("secret \"", name, "\" is empty or blank"));
  }
  return Secret(std::string(name), std::string(text));
}

uint16_t Secret::Tag(absl::string_view salt) const {
  const HmacSha256Key hash(salt);
  const HmacSha256Key::DigestBytes digest =
      public_key_.has_value() ? hash.Digest({"hookgate.secret_tag v1a ", public_key_->bytes()})
                              : hash.Digest({"hookgate.secret_tag v1 ", key_});
  return static_cast<uint16_t>(digest[0] << 8 | digest[1]);
}

Secret::Secret(std::string name, std::string key)
    : name_(std::move(name)), key_(std::move(key)), hmac_key_(HmacSha256Key(key_)) {}

Secret::Secret(std::string name, Ed25519PublicKey public_key)
    : name_(std::move(name)), public_key_(std::move(public_key)) {}

absl::StatusOr<VerifiedWebhook> Verify(const SignedHeaders& headers, absl::string_view body,
                                       absl::Span<const Secret> secrets, absl::Time now,
                                       absl::Duration tolerance) {
  RETURN_IF_ERROR(CheckPresence(headers));
  RETURN_IF_ERROR(CheckId(headers.id));
  ASSIGN_OR_RETURN(const absl::Time webhook_time, ParseTimestamp(headers.timestamp));
  ASSIGN_OR_RETURN(const SignatureEntries entries, ParseSignature(headers.signature));
  RETURN_IF_ERROR(CheckWindow(webhook_time, now, tolerance));

  // No early end: how long this takes must not tell which secret matched.
  const SignedParts parts = {.id = headers.id, .timestamp = headers.timestamp, .body = body};
  SecretIndices matching;
  for (size_t i = 0; i < secrets.size(); ++i) {
    const Ed25519PublicKey* public_key = secrets[i].public_key();
    const bool matches = public_key != nullptr
                             ? MatchesPublicKey(*public_key, entries.v1a, parts)
                             : MatchesSharedSecret(secrets[i].hmac_key(), entries.v1, parts);
    if (matches) matching.push_back(i);
  }
  if (matching.empty()) return Mismatch(secrets, entries, body.empty());
  return VerifiedWebhook{.webhook_time = webhook_time, .secret_indices = std::move(matching)};
}

std::string Sign(const Secret& secret, absl::string_view id, absl::string_view timestamp,
                 absl::string_view body) {
  if (secret.public_key() != nullptr) {
    Log(Severity::kError, "a public key cannot sign", {{"secret", secret.name()}});
    std::abort();
  }
  const SignedParts parts = {.id = id, .timestamp = timestamp, .body = body};
  return absl::StrCat(kV1Tag, ExpectedSignature(secret.hmac_key(), parts).text());
}

}  // namespace hookgate
