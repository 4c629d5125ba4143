// How this project's TLS servers speak TLS, whatever is served over it.
#ifndef HOOKGATE_SERVER_TLS_SERVER_CONTEXT_H_
#define HOOKGATE_SERVER_TLS_SERVER_CONTEXT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX

namespace hookgate {

// The cipher suites of TLS 1.2, as OpenSSL writes a list of them: those with forward secrecy
// (ECDHE) and authenticated encryption (AEAD), so neither static RSA nor CBC (RFC 9325,
// section 4.2). All suites of TLS 1.3 are such, and OpenSSL's defaults are offered.
inline constexpr char kTls12Suites[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

struct FreeServerContext {
  void operator()(ssl_ctx_st* context) const;
};
using ServerContextPtr = std::unique_ptr<ssl_ctx_st, FreeServerContext>;

struct ServerContextOptions {
  std::string certificate_chain;  // PEM, the server's own first
  std::string key;                // PEM
  // PEM: clients are asked for a certificate that one of these has signed, and one that shows
  // another is refused. "": they are not asked.
  std::string client_ca;
  bool client_ca_required = false;  // one that shows none is refused as well
  // The one protocol that is spoken, such as "h2": a client that offers others alone is refused,
  // one that offers none is not (ALPN). "": clients are not asked.
  std::string protocol;
  // Whether clients may resume a session. Tickets cost memory until they have been sent.
  bool resumption = true;
};

// TLS 1.2 or newer, kTls12Suites, without renegotiation and compression.
// INVALID_ARGUMENT if OpenSSL does not serve with these, though they are well-formed and fit, such
// as a key that is too short for its security level. The message holds nothing of either.
absl::StatusOr<ServerContextPtr> NewServerContext(const ServerContextOptions& options);

// The same, for a server that asks clients for nothing.
absl::StatusOr<ServerContextPtr> NewServerContext(const std::string& certificate_chain,
                                                  const std::string& key);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_TLS_SERVER_CONTEXT_H_
