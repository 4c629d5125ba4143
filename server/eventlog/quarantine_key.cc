#include "server/eventlog/quarantine_key.h"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr char kBetween = '\n';

}  // namespace

std::string QuarantineKeyOfOtherBody(absl::string_view webhook_id, absl::string_view body) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return absl::StrCat(webhook_id, absl::string_view(&kBetween, 1), absl::BytesToHexString(hash));
}

std::string EndOfQuarantineKeys(absl::string_view webhook_id) {
  constexpr char kBehind = kBetween + 1;
  return absl::StrCat(webhook_id, absl::string_view(&kBehind, 1));
}

absl::string_view WebhookIdOfQuarantineKey(absl::string_view key) {
  return key.substr(0, key.find(kBetween));
}

}  // namespace hookgate
