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

// Clients are told which authorities they may have been certified by.
bool AskForCertificates(SSL_CTX* context, const std::string& authorities) {
  const BioPtr bio = OverText(authorities);
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  bool any = false;
  while (true) {
    const X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (next == nullptr) break;
    if (X509_STORE_add_cert(store, next.get()) != 1) return false;
    if (SSL_CTX_add_client_CA(context, next.get()) != 1) return false;
    any = true;
  }
  ERR_clear_error();  // The end of the text is one.
  // Sessions of another use must not be resumed here.
  constexpr unsigned char kUse[] = "hookgate";
  return any && SSL_CTX_set_session_id_context(context, kUse, sizeof(kUse) - 1) == 1;
}

int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                   const unsigned char* offered, unsigned int offered_size, void* spoken) {
  const std::string& ours = *static_cast<const std::string*>(spoken);
  for (unsigned int at = 0; at < offered_size; at += 1u + offered[at]) {
    const unsigned int size = offered[at];
    if (size > offered_size - at - 1) break;
    if (ours.compare(0, std::string::npos, reinterpret_cast<const char*>(offered + at + 1), size) !=
        0) {
      continue;
    }
    *chosen = offered + at + 1;
    *chosen_size = static_cast<unsigned char>(size);
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Where a context keeps its protocol, which ends with it.
int ProtocolIndex() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* protocol, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::string*>(protocol);
      });
  return index;
}

void OfferProtocol(SSL_CTX* context, const std::string& protocol) {
  auto* const kept = new std::string(protocol);
  SSL_CTX_set_ex_data(context, ProtocolIndex(), kept);
  SSL_CTX_set_alpn_select_cb(context, ChooseProtocol, kept);
}

// There is nobody to type a pass phrase.
int NoPassPhrase(char*, int, int, void*) { return -1; }

}  // namespace

void FreeServerContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

absl::StatusOr<ServerContextPtr> NewServerContext(const ServerContextOptions& options) {
  ERR_clear_error();
  ServerContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kTls12Suites) != 1) {
    return Refused("OpenSSL");
  }
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection gives its buffers back.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (!options.resumption) {
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context.get(), 0);
  }
  if (!options.client_ca.empty()) {
    if (!AskForCertificates(context.get(), options.client_ca)) return Refused("the client CA");
    SSL_CTX_set_verify(
        context.get(),
        SSL_VERIFY_PEER | (options.client_ca_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        nullptr);
  }
  if (!options.protocol.empty()) OfferProtocol(context.get(), options.protocol);
  if (!UseChain(context.get(), options.certificate_chain)) return Refused("the certificate");
  const BioPtr key_bio = OverText(options.key);
  const KeyPtr private_key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, NoPassPhrase, nullptr),
                           EVP_PKEY_free);
  if (private_key == nullptr || SSL_CTX_use_PrivateKey(context.get(), private_key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return Refused("the key");
  }
  return context;
}

absl::StatusOr<ServerContextPtr> NewServerContext(const std::string& certificate_chain,
                                                  const std::string& key) {
  return NewServerContext({.certificate_chain = certificate_chain, .key = key});
}

}  // namespace hookgate
