#include "server/signature/standard_webhooks.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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
constexpr char kEntryTag[] = "v1,";

constexpr size_t kMaxIdBytes = 256;
// Reaches the year 33658, and fits int64 without a thought.
constexpr size_t kMaxTimestampDigits = 12;
// Rotation puts two entries here, perhaps three. The bounds keep a stranger's request cheap.
constexpr size_t kMaxSignatureBytes = 4096;
constexpr size_t kMaxSignatureEntries = 64;

constexpr size_t kDigestBytes = 32;

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

// OpenSSL without HMAC or SHA-256 is a broken installation, not an input.
[[noreturn]] void DieOfOpenSsl() {
  Log(Severity::kError, "OpenSSL cannot compute HMAC-SHA256; is its default provider configured?");
  std::abort();
}

struct FreeMacContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMacContext>;

// A context keyed with `key`, ready for EVP_MAC_update.
MacContext StartHmacSha256(absl::string_view key) {
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  if (hmac == nullptr) DieOfOpenSsl();
  MacContext context(EVP_MAC_CTX_new(hmac));
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  const auto* key_bytes = reinterpret_cast<const unsigned char*>(key.data());
  if (context == nullptr || EVP_MAC_init(context.get(), key_bytes, key.size(), parameters) != 1) {
    DieOfOpenSsl();
  }
  return context;
}

// HMAC-SHA256 over "id.timestamp.body", without joining the parts in memory.
std::string SignedDigest(absl::string_view key, absl::string_view id, absl::string_view timestamp,
                         absl::string_view body) {
  const MacContext context = StartHmacSha256(key);
  for (absl::string_view part :
       {id, absl::string_view("."), timestamp, absl::string_view("."), body}) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(part.data());
    if (EVP_MAC_update(context.get(), bytes, part.size()) != 1) DieOfOpenSsl();
  }
  unsigned char digest[kDigestBytes];
  size_t size = 0;
  if (EVP_MAC_final(context.get(), digest, &size, sizeof(digest)) != 1 || size != kDigestBytes) {
    DieOfOpenSsl();
  }
  return std::string(reinterpret_cast<const char*>(digest), size);
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
        absl::StrCat("webhook-timestamp is no Unix time; it must be whole seconds, as 1 to ",
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

struct SignatureEntries {
  std::vector<absl::string_view> v1;  // the base64 texts of the entries with the tag "v1"
  size_t others = 0;
};

absl::StatusOr<SignatureEntries> ParseSignature(absl::string_view header) {
  if (header.size() > kMaxSignatureBytes) {
    return Refuse(reason::kMalformedHeader,
                  absl::StrCat("webhook-signature has ", header.size(), " bytes; at most ",
                               kMaxSignatureBytes, " are allowed"));
  }
  SignatureEntries entries;
  for (absl::string_view entry :
       absl::StrSplit(header, absl::ByAnyChar(" \t\n\v\f\r"), absl::SkipEmpty())) {
    if (absl::ConsumePrefix(&entry, kEntryTag)) {
      entries.v1.push_back(entry);
    } else {
      ++entries.others;
    }
  }
  const size_t count = entries.v1.size() + entries.others;
  if (count > kMaxSignatureEntries) {
    return Refuse(reason::kMalformedHeader,
                  absl::StrCat("webhook-signature has ", count, " entries; at most ",
                               kMaxSignatureEntries, " are allowed"));
  }
  return entries;
}

// The texts are compared, not what they decode to: base64 has one canonical text for a digest.
bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

absl::StatusOr<Secret> Secret::Parse(absl::string_view name, absl::string_view text) {
  const auto refuse = [name](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat("secret \"", name, "\" ", message));
  };
  if (absl::StripAsciiWhitespace(text).empty()) return refuse("is empty or blank");
  if (absl::StartsWith(text, "whpk_") || absl::StartsWith(text, "whsk_")) {
    return refuse("is a key of the asymmetric scheme v1a; give the one that begins with whsec_");
  }
  if (!absl::ConsumePrefix(&text, kSecretPrefix))
    return Secret(std::string(name), std::string(text));

  std::optional<std::string> key = DecodeStrictBase64(text);
  if (!key.has_value() || key->empty()) {
    return refuse(
        "is not base64 after whsec_; give it as the sender shows it, with the padding at its end "
        "and without quotes, blanks or line breaks");
  }
  return Secret(std::string(name), *std::move(key));
}

Secret::Secret(std::string name, std::string key) : name_(std::move(name)), key_(std::move(key)) {}

absl::StatusOr<VerifiedWebhook> Verify(const SignedHeaders& headers, absl::string_view body,
                                       absl::Span<const Secret> secrets, absl::Time now,
                                       absl::Duration tolerance) {
  RETURN_IF_ERROR(CheckPresence(headers));
  RETURN_IF_ERROR(CheckId(headers.id));
  ASSIGN_OR_RETURN(const absl::Time webhook_time, ParseTimestamp(headers.timestamp));
  ASSIGN_OR_RETURN(const SignatureEntries entries, ParseSignature(headers.signature));
  RETURN_IF_ERROR(CheckWindow(webhook_time, now, tolerance));
  if (entries.v1.empty()) {
    return Refuse(reason::kSignatureMismatch,
                  absl::StrCat("webhook-signature has no v1 entry, and ", entries.others,
                               " of other kinds; an entry \"v1,<base64>\" is needed"));
  }

  // No early end: how long this takes must not tell which secret or entry matched.
  std::optional<size_t> matching_secret;
  for (size_t i = 0; i < secrets.size(); ++i) {
    const std::string expected =
        absl::Base64Escape(SignedDigest(secrets[i].key(), headers.id, headers.timestamp, body));
    for (absl::string_view entry : entries.v1) {
      const bool equal = EqualInConstantTime(entry, expected);
      if (equal && !matching_secret.has_value()) matching_secret = i;
    }
  }
  if (!matching_secret.has_value()) {
    return Refuse(reason::kSignatureMismatch,
                  absl::StrCat("none of the v1 entries in webhook-signature (", entries.v1.size(),
                               ") matches any configured secret (", secrets.size(),
                               "); it was signed with another secret, or changed on its way"));
  }
  return VerifiedWebhook{.webhook_time = webhook_time, .secret_index = *matching_secret};
}

std::string Sign(const Secret& secret, absl::string_view id, absl::string_view timestamp,
                 absl::string_view body) {
  return absl::StrCat(kEntryTag,
                      absl::Base64Escape(SignedDigest(secret.key(), id, timestamp, body)));
}

}  // namespace hookgate
