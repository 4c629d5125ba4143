#include "client/connection.h"

#include <chrono>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/gateway_error.h"
#include "client/target.h"
#include "client/token_source.h"
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
  explicit TokenSender(TokenSource& tokens) : tokens_(tokens) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::PRE_SEND_INITIAL_METADATA)) {
      const std::string token = tokens_.Get();
      if (!token.empty()) {
        methods->GetSendInitialMetadata()->emplace("authorization", absl::StrCat("Bearer ", token));
      }
    }
    methods->Proceed();
  }

 private:
  TokenSource& tokens_;  // The factory's, which lives as long as the channel.
};

class TokenSenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenderFactory(std::shared_ptr<TokenSource> tokens) : tokens_(std::move(tokens)) {}
  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo*) override {
    return new TokenSender(*tokens_);
  }

 private:
  const std::shared_ptr<TokenSource> tokens_;
};

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const ConnectionSecurity& security) {
  if (!security.tls) return grpc::InsecureChannelCredentials();
  return grpc::SslCredentials({security.ca, security.key, security.certificate});
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           const ConnectionSecurity& security,
                                           const std::shared_ptr<TokenSource>& tokens) {
  grpc::ChannelArguments arguments;
  // Finds a vanished peer below the calls. Gentle enough for a server with gRPC's default rules,
  // since heartbeats flow in between.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Callers have their own back-off. gRPC's would come on top of it, and grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // For how long one try to connect may last, TLS included.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // One event with its raw body may be more than gRPC's 4 MiB.
  arguments.SetMaxReceiveMessageSize(kMaxReceivedBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, UsesProxy(target) ? 1 : 0);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> senders;
  if (tokens != nullptr) senders.push_back(std::make_unique<TokenSenderFactory>(tokens));
  return grpc::experimental::CreateCustomChannelWithInterceptors(target, MakeCredentials(security),
                                                                 arguments, std::move(senders));
}

Connection::Stubs StubsOf(const std::shared_ptr<grpc::ChannelInterface>& channel) {
  return {v1::EventService::NewStub(channel), v1::AdminService::NewStub(channel),
          v1::SubscriptionService::NewStub(channel)};
}

absl::Status Check(const std::string& target, const ConnectionSecurity& security) {
  const absl::Status status = CheckTarget(target);
  if (status.ok()) return CheckSecurity(target, security);
  return absl::InvalidArgumentError(
      absl::StrCat("the target \"", target, "\": ", std::string(status.message())));
}

// Null if no token is to be shown.
std::shared_ptr<TokenSource> TokensOf(const ConnectionSecurity& security,
                                      const absl::Status& status) {
  if (!status.ok() || (security.token + security.token_file).empty()) return nullptr;
  return std::make_shared<TokenSource>(security.token, security.token_file);
}

}  // namespace

Connection::Connection(const std::string& target, const ConnectionSecurity& security)
    : Connection(target, security, Check(target, security)) {}

Connection::Connection(const std::string& target, const ConnectionSecurity& security,
                       absl::Status status)
    : Connection(target, security, TokensOf(security, status), status) {}

Connection::Connection(const std::string& target, const ConnectionSecurity& security,
                       const std::shared_ptr<TokenSource>& tokens, const absl::Status& status)
    : Connection(target, MakeChannel(target, security, tokens), tokens, status) {}

Connection::Connection(const std::string& target,
                       const std::shared_ptr<grpc::ChannelInterface>& channel)
    : Connection(target, channel, nullptr, absl::OkStatus()) {}

Connection::Connection(const std::string& target,
                       const std::shared_ptr<grpc::ChannelInterface>& channel,
                       const std::shared_ptr<TokenSource>& tokens, const absl::Status& status)
    : target_(target),
      status_(status),
      tokens_(tokens),
      channel_(channel),
      stubs_(StubsOf(channel)) {}

Connection::Connection(const std::string& target, Stubs stubs)
    : target_(target), stubs_(std::move(stubs)) {}

Connection::~Connection() = default;

bool Connection::AwaitConnecting(absl::Duration timeout) {
  if (channel_ == nullptr) return false;
  const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
  if (state == GRPC_CHANNEL_READY || state == GRPC_CHANNEL_SHUTDOWN) return false;
  channel_->WaitForStateChange(
      state, std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  return true;
}

std::string Connection::CurrentToken() const {
  return tokens_ == nullptr ? std::string() : tokens_->Get();
}

bool Connection::IsFinal(const GatewayError& error, const std::string& token) const {
  if (absl::IsUnauthenticated(error.status) && CurrentToken() != token) return false;
  return IsPermanent(error);
}

}  // namespace hookgate
