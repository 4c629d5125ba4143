// What new connections of a GrpcServer are encrypted with: the certificates in force.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TLS_CONTEXTS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TLS_CONTEXTS_H_

#include <memory>

#include "server/tls/certificate_store.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace hookgate {

// Not thread-safe: used where connections are accepted.
class TlsContexts {
 public:
  // `store` outlives it; null: plain text.
  TlsContexts(const CertificateStore* store, bool client_ca_required)
      : store_(store), client_ca_required_(client_ca_required) {}

  // Whether every connection has to be encrypted.
  bool has_tls() const { return store_ != nullptr; }

  // For the next connection, made again when the certificates are others. Null for plain text, and
  // also if there have never been certificates that OpenSSL takes: with has_tls() such a connection
  // must be closed, never served in plain text.
  std::shared_ptr<ssl_ctx_st> Current();

 private:
  // Constant after construction.
  const CertificateStore* const store_;
  const bool client_ca_required_;

  std::shared_ptr<const Certificates> certificates_;  // those of context_
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TLS_CONTEXTS_H_
