#include "client/connection.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "client/target.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "grpcpp/support/client_interceptor.h"

namespace hookgate {
namespace {

// An event of 64 MiB, the largest that a gateway can be configured to take, comes with its raw body
// and, if its type is unknown, with the same bytes as text; what is left is for framing.
constexpr int kMaxReceivedBytes = 256 << 20;

// http_proxy and https_proxy are meant for the web, and are set on many machines whose gateway the
// proxy cannot reach; gRPC takes them for its calls, even to loopback.
bool UsesProxy(const std::string& target) {
  const char* proxy = std::getenv("grpc_proxy");
  return proxy != nullptr && *proxy != '\0' && !IsLoopback(target);
}

// gRPC sends call credentials over TLS alone; a token may also go to loopback.
class TokenSender final : public grpc::experimental::Interceptor {
 public:
  explicit TokenSender(const std::string& header) : header_(header) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", header_);
    }
    methods->Proceed();
  }

 private:
  const std::string header_;
};

class TokenSenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenderFactory(const std::string& token) : header_("Bearer " + token) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenSender(header_);
  }

 private:
  const std::string header_;
};

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const ConnectionSecurity& security) {
  if (!security.tls) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({security.ca, security.key, security.certificate});
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           const ConnectionSecurity& security) {
  grpc::ChannelArguments arguments;
  // Finds a vanished peer below the calls. Gentle enough for a server with gRPC's default rules,
  // since heartbeats flow in between.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Callers have their own back-off. gRPC's would come on top of it, and grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // One event with its raw body may be more than gRPC's 4 MiB.
  arguments.SetMaxReceiveMessageSize(kMaxReceivedBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, UsesProxy(target) ? 1 : 0);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> senders;
  if (!security.token.empty() && CheckSecurity(target, security).ok()) {
    senders.push_back(std::make_unique<TokenSenderFactory>(security.token));
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(target, MakeCredentials(security),
                                                                 arguments, std::move(senders));
}

}  // namespace

Connection::Connection(const std::string& target, const ConnectionSecurity& security)
    : Connection(target, MakeChannel(target, security)) {}

Connection::Connection(const std::string& target,
                       const std::shared_ptr<grpc::ChannelInterface>& channel)
    : target_(target),
      events_(v1::EventService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)),
      subscriptions_(v1::SubscriptionService::NewStub(channel)) {}

}  // namespace hookgate
