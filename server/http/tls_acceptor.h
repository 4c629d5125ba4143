// What new connections of an HttpServer are encrypted with: the certificates in force.
#ifndef HOOKGATE_SERVER_HTTP_TLS_ACCEPTOR_H_
#define HOOKGATE_SERVER_HTTP_TLS_ACCEPTOR_H_

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "server/tls/certificate_store.h"

namespace hookgate {

// Not thread-safe: used where connections are accepted.
class TlsAcceptor {
 public:
  // `store` outlives the acceptor; null: plain text.
  explicit TlsAcceptor(const CertificateStore* store) : store_(store) {}

  // Whether every connection has to be encrypted.
  bool has_tls() const { return store_ != nullptr; }

  // For the next connection, made again when the certificates are others (server_context.h). Null
  // for plain text, and also if there have never been certificates that OpenSSL takes: with
  // has_tls() such a connection must be closed, never served in plain text.
  std::shared_ptr<boost::asio::ssl::context> Context();

 private:
  // Constant after construction.
  const CertificateStore* const store_;

  std::shared_ptr<const Certificates> certificates_;  // those of context_
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_TLS_ACCEPTOR_H_
