// HTTP/1.1 for the gateway's edges: connections, keep-alive, chunked bodies, Expect: 100-continue,
// limits and time-outs. Knows nothing of webhooks: an HttpHandler decides what is answered. All of
// Boost.Beast stays behind this header.
#ifndef HOOKGATE_SERVER_HTTP_HTTP_SERVER_H_
#define HOOKGATE_SERVER_HTTP_HTTP_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/http/http_handler.h"
#include "server/http/http_options.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// Thread-safe.
class HttpServer {
 public:
  // Binds and serves. `handler`, `clock` and `certificates` outlive the server; with certificates
  // it speaks TLS, with those in force when a connection comes. Errors: INVALID_ARGUMENT if the
  // address cannot be read or resolved; UNAVAILABLE if it cannot be bound (taken, no right).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(
      const HttpServerOptions& options, HttpHandler& handler, const Clock& clock,
      const CertificateStore* certificates = nullptr);

  // Ends at once whatever is left, then joins the threads.
  virtual ~HttpServer() = default;

  // HOST:PORT as bound.
  virtual std::string address() const = 0;
  // Those that are open now, and those that may be. Takes no lock.
  virtual int64_t open_connections() const = 0;
  virtual int64_t max_connections() const = 0;
  // Connections that were closed since their address has begun too many TLS handshakes. Takes no
  // lock.
  virtual int64_t refused_handshakes() const = 0;

  // Begins what Drain waits for, and returns at once: takes no new connections, closes those with
  // no request under way, and gives what is still arriving `options.drain_patience`, after which it
  // is answered 503. Nothing that arrives later is read. Calling it again is harmless.
  virtual void BeginDrain() = 0;

  // BeginDrain, and then lets requests that the handler has finish, with Connection: close. Returns
  // when the last connection is gone or after `grace`, whichever comes first: true if all have
  // finished; otherwise closes what is left. Calling it again is harmless.
  virtual bool Drain(absl::Duration grace) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_HTTP_SERVER_H_
