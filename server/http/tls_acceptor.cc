#include "server/http/tls_acceptor.h"

#include <openssl/ssl.h>

#include <string>

#include "server/base/logging.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using boost::system::error_code;

asio::const_buffer Bytes(const std::string& text) { return asio::buffer(text); }

// Null if OpenSSL does not take them, though CertificateStore has found them right.
std::shared_ptr<ssl::context> MakeContext(const Certificates& certificates, error_code& error) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // An idle connection gives its buffers back.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  context->use_certificate_chain(Bytes(certificates.certificate), error);
  if (!error) context->use_private_key(Bytes(certificates.key), ssl::context::pem, error);
  return error ? nullptr : context;
}

}  // namespace

std::shared_ptr<ssl::context> TlsAcceptor::Context() {
  if (store_ == nullptr) return nullptr;
  std::shared_ptr<const Certificates> current = store_->Current();
  if (current == certificates_) return context_;
  error_code error;
  std::shared_ptr<ssl::context> made = MakeContext(*current, error);
  if (made == nullptr) {
    Log(Severity::kError, "the certificate cannot be used; the one before stays in force",
        {{"error", error.message()}});
  } else {
    context_ = std::move(made);
  }
  certificates_ = std::move(current);
  return context_;
}

}  // namespace hookgate
