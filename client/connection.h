// A channel to one gateway, with the stubs of its services.
#ifndef HOOKGATE_CLIENT_CONNECTION_H_
#define HOOKGATE_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/connection_security.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace grpc {
class ChannelInterface;
}  // namespace grpc

namespace hookgate {

struct GatewayError;
class TokenSource;

// Thread-safe, as stubs are.
class Connection {
 public:
  // A connection's stubs. One that is null must not be used.
  struct Stubs {
    std::unique_ptr<v1::EventService::StubInterface> events;
    std::unique_ptr<v1::AdminService::StubInterface> admin;
    std::unique_ptr<v1::SubscriptionService::StubInterface> subscriptions;
  };

  // Connects to `target` ("host:port", or another gRPC name) when the first call is made, and again
  // whenever needed. By default plain text: for loopback, or behind something that encrypts.
  // A token that CheckSecurity does not accept is not sent. Messages of up to 256 MiB are received.
  // Calls go through an HTTP proxy only if the environment variable grpc_proxy names one, and never
  // to loopback: http_proxy, https_proxy and all_proxy do not count.
  explicit Connection(const std::string& target, const ConnectionSecurity& security = {});

  // Calls go through `channel`, such as one with credentials; `target` is what messages call it.
  Connection(const std::string& target, const std::shared_ptr<grpc::ChannelInterface>& channel);

  // Calls go to `stubs`, such as the mocks that gRPC makes of a service (*_mock.grpc.pb.h), so that
  // a test needs no gateway. client/testing/fake_gateway.h is a gateway that a test scripts.
  Connection(const std::string& target, Stubs stubs);

  ~Connection();

  // INVALID_ARGUMENT if the target or what is to secure it cannot be right (CheckTarget,
  // CheckSecurity), as found at construction: calls would fail, or show no token. Subscriber and
  // Consumer end with it before any call.
  const absl::Status& status() const { return status_; }

  const std::string& target() const { return target_; }
  v1::EventService::StubInterface& events() { return *stubs_.events; }
  v1::AdminService::StubInterface& admin() { return *stubs_.admin; }
  v1::SubscriptionService::StubInterface& subscriptions() { return *stubs_.subscriptions; }

  // Has the transport connect, for `timeout` at most; returns earlier if it has, or has failed.
  // gRPC connects only while somebody waits for it, and a call on a connection that has failed does
  // not: a client that tries again needs this between its tries, or it may find nobody for minutes.
  // Returns false at once if there is nothing to connect.
  bool AwaitConnecting(absl::Duration timeout);

  // The token that a call would show now; "": none that this knows of.
  std::string CurrentToken() const;

  // Whether a stream that ended with `error` should not be opened again: IsPermanent, unless the
  // gateway did not know the token that it was opened with, `token`, and there is another one by
  // now.
  bool IsFinal(const GatewayError& error, const std::string& token) const;

 private:
  Connection(const std::string& target, const ConnectionSecurity& security, absl::Status status);
  Connection(const std::string& target, const ConnectionSecurity& security,
             const std::shared_ptr<TokenSource>& tokens, const absl::Status& status);
  Connection(const std::string& target, const std::shared_ptr<grpc::ChannelInterface>& channel,
             const std::shared_ptr<TokenSource>& tokens, const absl::Status& status);

  // Constant after construction.
  const std::string target_;
  const absl::Status status_;
  const std::shared_ptr<TokenSource> tokens_;              // null: none. Does its own locking.
  const std::shared_ptr<grpc::ChannelInterface> channel_;  // null: stubs were given
  const Stubs stubs_;
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CONNECTION_H_
