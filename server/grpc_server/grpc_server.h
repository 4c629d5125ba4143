// A gRPC server: HTTP/2 (RFC 9113) with or without TLS, and gRPC's protocol over it. Knows no
// services: a MethodTable says what is served. nghttp2, Asio and OpenSSL stay behind this header.
//
// Everything that a peer controls has a bound (grpc_server_options.h): what a stranger can cost is
// memory and time within those limits, whatever bytes it sends.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/grpc_server/grpc_refusal.h"
#include "server/grpc_server/grpc_server_options.h"
#include "server/grpc_server/method_table.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// Thread-safe.
class GrpcServer {
 public:
  // Binds and serves. `table`, `clock` and `certificates` outlive the server; with certificates it
  // speaks TLS, with those in force when a connection comes. Errors: INVALID_ARGUMENT if the
  // address cannot be read or resolved; UNAVAILABLE if it cannot be bound (taken, no right).
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const GrpcServerOptions& options, const MethodTable& table, const Clock& clock,
      const CertificateStore* certificates = nullptr);

  // Ends at once whatever is left: each handler hears OnEnd. Then joins the threads.
  virtual ~GrpcServer() = default;

  // HOST:PORT as bound.
  virtual std::string address() const = 0;
  // Those that have a handler.
  virtual size_t open_calls() const = 0;
  virtual size_t open_connections() const = 0;

  // How often each kind was refused since the start.
  virtual GrpcRefusalCounts refusals() const = 0;

  // Takes no new connections and, once each client has heard of it, no new calls. The calls that
  // there are go on; their owner tells them to end. Returns at once. Harmless when repeated.
  virtual void BeginDrain() = 0;

  // BeginDrain, then waits until all calls have ended and their connections with them, at most for
  // `grace`; then ends what is left, calls with UNAVAILABLE. False if something was left. Requests
  // that are not whole are waited for at most drain_patience. Harmless when repeated.
  virtual bool Drain(absl::Duration grace) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_SERVER_H_
