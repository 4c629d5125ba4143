#include "server/signature/hmac_sha256.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

// OpenSSL without HMAC or SHA-256 is a broken installation, not an input.
[[noreturn]] void DieOfOpenSsl() {
  Log(Severity::kError, "OpenSSL cannot compute HMAC-SHA256; is its default provider configured?");
  std::abort();
}

struct FreeMacContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMacContext>;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

MacContext MakeContext(absl::string_view key) {
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  if (hmac == nullptr) DieOfOpenSsl();
  MacContext context(EVP_MAC_CTX_new(hmac));
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  if (context == nullptr || EVP_MAC_init(context.get(), Bytes(key), key.size(), parameters) != 1) {
    DieOfOpenSsl();
  }
  return context;
}

}  // namespace

// As many contexts as threads ever computed at the same time.
class HmacSha256Key::Contexts {
 public:
  explicit Contexts(absl::string_view key) : keyed_(MakeContext(key)) {}

  // A context with the key, from which nothing has been computed yet.
  MacContext Take() ABSL_LOCKS_EXCLUDED(mu_) {
    MacContext context;
    {
      absl::MutexLock lock(&mu_);
      if (free_.empty()) {
        context.reset(EVP_MAC_CTX_dup(keyed_.get()));
      } else {
        context = std::move(free_.back());
        free_.pop_back();
      }
    }
    // Without a key: begins again with the one that it has.
    if (context == nullptr || EVP_MAC_init(context.get(), nullptr, 0, nullptr) != 1) DieOfOpenSsl();
    return context;
  }

  void GiveBack(MacContext context) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    free_.push_back(std::move(context));
  }

 private:
  const MacContext keyed_;  // the pattern of all others

  absl::Mutex mu_;
  std::vector<MacContext> free_ ABSL_GUARDED_BY(mu_);
};

HmacSha256Key::HmacSha256Key(absl::string_view key) : contexts_(std::make_shared<Contexts>(key)) {}

HmacSha256Key::DigestBytes HmacSha256Key::Digest(
    std::initializer_list<absl::string_view> parts) const {
  MacContext context = contexts_->Take();
  for (const absl::string_view part : parts) {
    if (EVP_MAC_update(context.get(), Bytes(part), part.size()) != 1) DieOfOpenSsl();
  }
  DigestBytes digest;
  size_t size = 0;
  if (EVP_MAC_final(context.get(), digest.data(), &size, digest.size()) != 1 ||
      size != kDigestBytes) {
    DieOfOpenSsl();
  }
  contexts_->GiveBack(std::move(context));
  return digest;
}

}  // namespace hookgate
