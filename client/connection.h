// A channel to one gateway, with the stubs of its services.
#ifndef HOOKGATE_CLIENT_CONNECTION_H_
#define HOOKGATE_CLIENT_CONNECTION_H_

#include <memory>
#include <string>

#include "client/connection_security.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace grpc {
class ChannelInterface;
}  // namespace grpc

namespace hookgate {

// Thread-safe, as stubs are.
class Connection {
 public:
  // Connects to `target` ("host:port", or another gRPC name) when the first call is made, and again
  // whenever needed. By default plain text: for loopback, or behind something that encrypts.
  // A token that CheckSecurity does not accept is not sent. Messages of up to 256 MiB are received.
  // Calls go through an HTTP proxy only if the environment variable grpc_proxy names one, and never
  // to loopback: http_proxy, https_proxy and all_proxy do not count.
  explicit Connection(const std::string& target, const ConnectionSecurity& security = {});

  // Calls go through `channel`, such as one with credentials; `target` is what messages call it.
  Connection(const std::string& target, const std::shared_ptr<grpc::ChannelInterface>& channel);

  const std::string& target() const { return target_; }
  v1::EventService::StubInterface& events() { return *events_; }
  v1::AdminService::StubInterface& admin() { return *admin_; }
  v1::SubscriptionService::StubInterface& subscriptions() { return *subscriptions_; }

 private:
  // Constant after construction.
  const std::string target_;
  const std::unique_ptr<v1::EventService::StubInterface> events_;
  const std::unique_ptr<v1::AdminService::StubInterface> admin_;
  const std::unique_ptr<v1::SubscriptionService::StubInterface> subscriptions_;
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CONNECTION_H_
