#include "server/rpc/rpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/base/executor.h"
#include "server/rpc/event_service.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {
namespace {

// Requests are small; this bounds what a client can make the gateway hold.
constexpr int kMaxRequestBytes = 1 << 20;
// Over how long drained clients are told to come back.
constexpr absl::Duration kReconnectSpread = absl::Seconds(5);

class RpcServerImpl final : public RpcServer {
 public:
  RpcServerImpl(const RpcServerOptions& options, EventLog& log, const Tail& tail,
                HeadWatch& watch, const Clock& clock)
      : registry_(options.max_streams),
        executor_(options.reader_threads),
        service_(MakeEventService({log, tail, watch, executor_, registry_, clock})) {}

  ~RpcServerImpl() override { Drain(absl::ZeroDuration()); }

  absl::Status Listen(const std::string& address) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    // Without this a second gateway would bind the same port and take half of the streams.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    // Clients may ping as often as every 10 s to keep their way through proxies open.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // A client that vanished without a word is found out, and its stream's memory given back.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(absl::StrCat(
          "gRPC cannot listen on ", address,
          ": the address is in use, not this machine's, or no HOST:PORT"));
    }
    address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }

  size_t open_streams() const override { return registry_.size(); }

  void StopServing() override { server_->GetHealthCheckService()->SetServingStatus(false); }

  void Drain(absl::Duration grace) override {
    if (server_ == nullptr) return;
    StopServing();
    registry_.DrainAll(kReconnectSpread);
    server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
    server_->Wait();
  }

 private:
  StreamRegistry registry_;
  Executor executor_;  // work in it uses the service's streams, which the server has ended by then
  const std::unique_ptr<grpc::Service> service_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            EventLog& log, const Tail& tail,
                                                            HeadWatch& watch, const Clock& clock) {
  auto server = std::make_unique<RpcServerImpl>(options, log, tail, watch, clock);
  const absl::Status listening = server->Listen(options.address);
  if (!listening.ok()) return listening;
  return std::unique_ptr<RpcServer>(std::move(server));
}

}  // namespace hookgate
