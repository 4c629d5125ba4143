#include "client/connection.h"

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/channel_arguments.h"

namespace hookgate {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Finds a vanished peer below the calls. Gentle enough for a server with gRPC's default rules,
  // since heartbeats flow in between.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Callers have their own back-off. gRPC's would come on top of it, and grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // A page of events with raw bodies is more than gRPC's 4 MiB.
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Connection::Connection(const std::string& target) : Connection(target, MakeChannel(target)) {}

Connection::Connection(const std::string& target,
                       const std::shared_ptr<grpc::ChannelInterface>& channel)
    : target_(target),
      events_(v1::EventService::NewStub(channel)),
      admin_(v1::AdminService::NewStub(channel)),
      subscriptions_(v1::SubscriptionService::NewStub(channel)) {}

}  // namespace hookgate
