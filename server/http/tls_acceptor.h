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

  // For the next connection, made anew when the certificates are others. Null for plain text.
  // TLS 1.2 or newer, without renegotiation.
  std::shared_ptr<boost::asio::ssl::context> Context();

 private:
  // Constant after construction.
  const CertificateStore* const store_;

  std::shared_ptr<const Certificates> certificates_;  // those of context_
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_TLS_ACCEPTOR_H_
