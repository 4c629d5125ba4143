// Ed25519 signatures (RFC 8032), which Standard Webhooks' asymmetric scheme "v1a" consists of.
//
// Pure functions: no clock, no I/O, no state; safe from any thread. Verification only: a gateway
// has no private key.
#ifndef HOOKGATE_SERVER_SIGNATURE_ED25519_H_
#define HOOKGATE_SERVER_SIGNATURE_ED25519_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace hookgate {

// Copies share the key, which never changes.
class Ed25519PublicKey {
 public:
  static constexpr size_t kBytes = 32;
  static constexpr size_t kSignatureBytes = 64;

  // INVALID_ARGUMENT if `bytes` are not kBytes long, or are one of the points of small order, such
  // as all zeros: under those, anybody can sign.
  static absl::StatusOr<Ed25519PublicKey> FromBytes(absl::string_view bytes);

  // Whether the owner of the private key has signed exactly `message`. False, too, for a
  // `signature` that is not kSignatureBytes long.
  bool Verifies(absl::string_view signature, absl::string_view message) const;

  bool operator==(const Ed25519PublicKey& other) const;

  // As FromBytes takes them.
  std::string bytes() const;

 private:
  explicit Ed25519PublicKey(std::shared_ptr<evp_pkey_st> key);

  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_SIGNATURE_ED25519_H_
