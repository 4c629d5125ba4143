// HMAC-SHA256 (RFC 2104), which Standard Webhooks' scheme "v1" consists of.
#ifndef HOOKGATE_SERVER_SIGNATURE_HMAC_SHA256_H_
#define HOOKGATE_SERVER_SIGNATURE_HMAC_SHA256_H_

#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>

#include "absl/strings/string_view.h"

namespace hookgate {

// A key, ready to use. The contexts that OpenSSL derives from it are made once and used again:
// deriving one costs three times what a webhook's digest does. Copies share them. Thread-safe.
class HmacSha256Key {
 public:
  static constexpr size_t kDigestBytes = 32;
  using DigestBytes = std::array<unsigned char, kDigestBytes>;

  explicit HmacSha256Key(absl::string_view key);

  // Over the concatenation of `parts`, without joining them in memory.
  DigestBytes Digest(std::initializer_list<absl::string_view> parts) const;

 private:
  class Contexts;

  std::shared_ptr<Contexts> contexts_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_SIGNATURE_HMAC_SHA256_H_
