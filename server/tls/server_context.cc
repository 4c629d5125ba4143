#include "server/tls/server_context.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;

BioPtr OverText(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
}

absl::Status Refused(absl::string_view what) {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  const absl::Status status =
      absl::InvalidArgumentError(absl::StrCat(what, " cannot be used by a TLS server",
                                              reason == nullptr ? "" : ": ", reason ? reason : ""));
  ERR_clear_error();
  return status;
}

bool UseChain(SSL_CTX* context, const std::string& chain) {
  const BioPtr bio = OverText(chain);
  bool first = true;
  while (true) {
    X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (next == nullptr) break;
    // Both of them take a reference of their own.
    if ((first ? SSL_CTX_use_certificate(context, next.get())
               : SSL_CTX_add1_chain_cert(context, next.get())) != 1) {
      return false;
    }
    first = false;
  }
  ERR_clear_error();  // The end of the text is one.
  return !first;
}

// There is nobody to type a pass phrase.
int NoPassPhrase(char*, int, int, void*) { return -1; }

}  // namespace

void FreeServerContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

absl::StatusOr<ServerContextPtr> NewServerContext(const std::string& certificate_chain,
                                                  const std::string& key) {
  ERR_clear_error();
  ServerContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kTls12Suites) != 1) {
    return Refused("OpenSSL");
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection gives its buffers back.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (!UseChain(context.get(), certificate_chain)) return Refused("the certificate");
  const BioPtr key_bio = OverText(key);
  const KeyPtr private_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, NoPassPhrase, nullptr),
                           EVP_PKEY_free);
  if (private_key == nullptr || SSL_CTX_use_PrivateKey(context.get(), private_key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Refused("the key");
  }
  return context;
}

}  // namespace hookgate
