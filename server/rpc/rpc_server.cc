#include "server/rpc/rpc_server.h"

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "hookgate/v1/event_service.grpc.pb.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"
#include "server/base/executor.h"
#include "server/base/logging.h"
#include "server/base/monotonic_mutex.h"
#include "server/delivery/batch_source.h"
#include "server/delivery/selection.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/event_service.h"
#include "server/rpc/health_service.h"
#include "server/rpc/reflection.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/server_credentials.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/subscription_service.h"
#include "server/rpc/unknown_methods.h"

namespace hookgate {
namespace {

// Requests are small; this bounds what a client can make the gateway hold.
constexpr int kMaxRequestBytes = 1 << 20;
// For queries under way. gRPC would wait as long for each idle connection, until the client looks
// at it and hangs up, which a client that makes no call does not do for many seconds.
constexpr absl::Duration kGraceOfQueries = absl::Seconds(1);
// For gRPC to take down what has been cancelled.
constexpr absl::Duration kTimeToCancel = absl::Seconds(1);
// Over how long drained clients are told to come back.
constexpr absl::Duration kReconnectSpread = absl::Seconds(5);

// By their full names, as health and reflection know them.
const std::vector<std::string>& ServicesServed() {
  static const auto* const kServices = new std::vector<std::string>{
      hookgate::v1::EventService::service_full_name(),
      hookgate::v1::SubscriptionService::service_full_name(),
      hookgate::v1::AdminService::service_full_name(),
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
  };
  return *kServices;
}

class RpcServerImpl final : public RpcServer {
 public:
  RpcServerImpl(const RpcServerOptions& options, const RpcServerContext& context)
      : credentials_(MakeServerCredentials(context.certificates)),
        gate_(context.access, context.clock, context.source_names),
        registry_(options.max_streams),
        batches_({}, context.tail, context.log),
        pages_(options.page_threads, Executor::Priority::kGivesWay),
        openings_(1),
        executor_(options.query_threads),
        event_service_(
            MakeEventService({context.log, selections_, batches_, context.watch, executor_, pages_,
                              openings_, registry_, context.clock, gate_})),
        subscription_service_(MakeSubscriptionService(
            {context.subscriptions, context.watch, executor_, registry_, context.clock, gate_},
            context.log)),
        admin_service_(MakeAdminService(
            {context.quarantine, context.log,
             [this, fill = context.get_status](hookgate::v1::GetStatusResponse& status) {
               status.set_open_streams(static_cast<int32_t>(registry_.size()));
               return fill(status);
             },
             executor_, gate_})),
        health_({ServicesServed().begin(), ServicesServed().end()}),
        reflection_(ServicesServed(), *google::protobuf::DescriptorPool::generated_pool()),
        reflection_v1_(MakeReflectionV1({reflection_, registry_, gate_})),
        reflection_v1alpha_(MakeReflectionV1Alpha({reflection_, registry_, gate_})),
        unknown_methods_(gate_) {}

  ~RpcServerImpl() override {
    Drain(absl::ZeroDuration());
    absl::MutexLock lock(&mu_);
    if (ending_.joinable()) ending_.join();
  }

  absl::Status Listen(const std::string& address) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address, credentials_, &port);
    // Without this a second gateway would bind the same port and take half of the streams.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    // A compressed message is bounded by its size only once it has been inflated, and a stranger's
    // kilobyte may be a gigabyte then. Requests are small: none needs it. What comes compressed all
    // the same is answered UNIMPLEMENTED, and nothing inflates it.
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    // Clients may ping as often as every 10 s to keep their way through proxies open.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // A client that vanished without a word is found out, and its stream's memory given back.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    builder.RegisterService(event_service_.get());
    builder.RegisterService(subscription_service_.get());
    builder.RegisterService(admin_service_.get());
    builder.RegisterService(&health_);
    builder.RegisterService(reflection_v1_.get());
    builder.RegisterService(reflection_v1alpha_.get());
    builder.RegisterCallbackGenericService(&unknown_methods_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          absl::StrCat("gRPC cannot listen on ", address,
                       ": the address is in use, not this machine's, or no HOST:PORT"));
    }
    address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }

  size_t open_streams() const override { return registry_.size(); }

  void RecheckAccess() override { registry_.RecheckAll(); }

  void StopServing() override { health_.StopServing(); }

  bool Drain(absl::Duration grace) override ABSL_LOCKS_EXCLUDED(mu_) {
    if (server_ == nullptr) return true;
    StopServing();
    health_.EndWatches();
    registry_.DrainAll(kReconnectSpread);
    registry_.WaitUntilEmpty(grace);
    const absl::Duration grace_of_queries = std::min(grace, kGraceOfQueries);
    EndServer(grace_of_queries);
    MonotonicMutexLock lock(&ended_mu_);
    const auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(ended_mu_) { return ended_; };
    return ended_mu_.AwaitWithTimeout(ended, grace_of_queries + kTimeToCancel);
  }

 private:
  // On a thread of its own: gRPC waits for the bytes that it has given to a connection, and a
  // client that has stopped reading may never take them.
  void EndServer(absl::Duration grace) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (ending_.joinable()) return;
    ending_ = std::thread([this, end = absl::ToChronoTime(absl::Now() + grace)] {
      server_->Shutdown(end);
      server_->Wait();
      MonotonicMutexLock lock(&ended_mu_);
      ended_ = true;
    });
  }

  // Constant after construction.
  const std::shared_ptr<grpc::ServerCredentials> credentials_;

  // Each does its own locking.
  CallGate gate_;
  StreamRegistry registry_;
  SelectionPool selections_;
  BatchSource batches_;
  // Work in these uses the services' streams, which the server has ended by then. Each kind has
  // threads of its own: none waits behind another.
  Executor pages_;
  Executor openings_;
  Executor executor_;  // queries
  const std::unique_ptr<grpc::Service> event_service_;
  const std::unique_ptr<grpc::Service> subscription_service_;
  const std::unique_ptr<grpc::Service> admin_service_;
  HealthService health_;
  const Reflection reflection_;
  const std::unique_ptr<grpc::Service> reflection_v1_;
  const std::unique_ptr<grpc::Service> reflection_v1alpha_;
  UnknownMethods unknown_methods_;

  // Constant after Listen.
  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  absl::Mutex mu_;
  std::thread ending_ ABSL_GUARDED_BY(mu_);
  MonotonicMutex ended_mu_;
  bool ended_ ABSL_GUARDED_BY(ended_mu_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            const RpcServerContext& context) {
  // gRPC writes a line for each handshake that fails, so that strangers could fill the disk.
  gpr_set_log_function([](gpr_log_func_args* line) {
    const bool fatal = absl::StartsWith(line->message, "assertion failed");
    Log(fatal ? Severity::kError : Severity::kDebug, "gRPC says",
        {{"text", line->message}, {"file", line->file}});
  });
  auto server = std::make_unique<RpcServerImpl>(options, context);
  const absl::Status listening = server->Listen(options.address);
  if (!listening.ok()) return listening;
  return std::unique_ptr<RpcServer>(std::move(server));
}

}  // namespace hookgate
