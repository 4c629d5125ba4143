#include "server/signature/ed25519.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

// The points whose order divides 8, as encoded (RFC 8032, 5.1.2) without the sign of x, in
// hexadecimal; the two y that also have an encoding of p or above have it here, too. OpenSSL takes
// them as keys.
constexpr absl::string_view kSmallOrderPoints[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

bool HasSmallOrder(absl::string_view bytes) {
  std::string point(bytes.data(), bytes.size());
  point.back() &= 0x7f;  // the sign of x
  const std::string encoded = absl::BytesToHexString(point);
  return std::find(std::begin(kSmallOrderPoints), std::end(kSmallOrderPoints), encoded) !=
         std::end(kSmallOrderPoints);
}

// OpenSSL without Ed25519 is a broken installation, not an input.
[[noreturn]] void DieOfOpenSsl() {
  Log(Severity::kError, "OpenSSL cannot verify Ed25519; is its default provider configured?");
  std::abort();
}

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

absl::StatusOr<Ed25519PublicKey> Ed25519PublicKey::FromBytes(absl::string_view bytes) {
  if (bytes.size() != kBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an Ed25519 public key has ", kBytes, " bytes, not ", bytes.size()));
  }
  if (HasSmallOrder(bytes)) {
    return absl::InvalidArgumentError("this Ed25519 public key is weak: anyone can sign for it");
  }
  std::shared_ptr<EVP_PKEY> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(bytes), bytes.size()),
      EVP_PKEY_free);
  if (key == nullptr) DieOfOpenSsl();
  return Ed25519PublicKey(std::move(key));
}

Ed25519PublicKey::Ed25519PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

bool Ed25519PublicKey::Verifies(absl::string_view signature, absl::string_view message) const {
  if (signature.size() != kSignatureBytes) return false;
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  if (context == nullptr ||
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1) {
    DieOfOpenSsl();
  }
  return EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

bool Ed25519PublicKey::operator==(const Ed25519PublicKey& other) const {
  return EVP_PKEY_eq(key_.get(), other.key_.get()) == 1;
}

std::string Ed25519PublicKey::bytes() const {
  std::string bytes(kBytes, '\0');
  size_t size = bytes.size();
  if (EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(bytes.data()),
                                  &size) != 1) {
    return "";
  }
  return bytes;
}

}  // namespace hookgate
