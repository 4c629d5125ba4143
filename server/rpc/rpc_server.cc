#include "server/rpc/rpc_server.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "google/protobuf/descriptor.h"
#include "server/base/executor.h"
#include "server/base/status.h"
#include "server/delivery/batch_source.h"
#include "server/delivery/selection.h"
#include "server/grpc_server/grpc_server.h"
#include "server/grpc_server/method_table.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/caller.h"
#include "server/rpc/event_service.h"
#include "server/rpc/health_service.h"
#include "server/rpc/reflection.h"
#include "server/rpc/reflection_service.h"
#include "server/rpc/rpc_metrics.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/subscription_service.h"

namespace hookgate {
namespace {

// For queries under way.
constexpr absl::Duration kGraceOfQueries = absl::Seconds(1);
// Over how long drained clients are told to come back.
constexpr absl::Duration kReconnectSpread = absl::Seconds(5);

class RpcServerImpl final : public RpcServer {
 public:
  RpcServerImpl(const RpcServerOptions& options, const RpcServerContext& context)
      : gate_(context.access, context.clock, context.source_names),
        metrics_(context.metrics),
        registry_(options.max_streams),
        batches_({}, context.tail, context.log),
        pages_(options.page_threads, Executor::Priority::kGivesWay),
        openings_(1),
        executor_(options.query_threads, Executor::Priority::kAwaited),
        events_({context.log, selections_, batches_, context.watch, executor_, pages_, openings_,
                 registry_, context.clock, gate_, &metrics_, context.cursors_ahead},
                {context.log, context.lookups, context.quarantine, context.subscriptions,
                 context.last_webhooks, context.refused}),
        subscriptions_({context.subscriptions, context.watch, executor_, registry_, context.clock,
                        gate_, &metrics_},
                       context.log),
        admin_({context.quarantine, context.conflicts, context.log, context.refused, registry_,
                context.subscriptions,
                [this, fill = context.get_status](hookgate::v1::GetStatusResponse& status) {
                  status.set_open_streams(static_cast<int32_t>(registry_.size()));
                  return fill(status);
                },
                executor_, gate_}),
        table_([this](const CallInfo& info) { return Caller::Admit(info, gate_); }, &metrics_,
               context.diverter),
        health_(table_.service_names()),
        reflection_(table_.service_names(), *google::protobuf::DescriptorPool::generated_pool()) {
    events_.AddTo(table_);
    subscriptions_.AddTo(table_);
    admin_.AddTo(table_);
    health_.AddTo(table_);
    AddReflectionServices({reflection_, registry_, gate_}, table_);
    metrics_.AddMethods(table_);
  }

  ~RpcServerImpl() override { Drain(absl::ZeroDuration()); }

  absl::Status Listen(const RpcServerOptions& options, const RpcServerContext& context) {
    ASSIGN_OR_RETURN(
        server_, GrpcServer::Start(options.transport, table_, context.clock, context.certificates));
    return absl::OkStatus();
  }

  std::string address() const override { return server_->address(); }

  size_t open_streams() const override { return registry_.size(); }

  size_t open_connections() const override { return server_->open_connections(); }

  const MethodTable& methods() const override { return table_; }

  StreamsBehind CountBehind(Sequence head) const override { return registry_.CountBehind(head); }

  GrpcRefusalCounts refusals() const override { return server_->refusals(); }

  void RecheckAccess() override { registry_.RecheckAll(); }

  void StopServing() override { health_.StopServing(); }

  bool Drain(absl::Duration grace) override {
    if (server_ == nullptr) return true;
    StopServing();
    health_.EndWatches();
    registry_.DrainAll(kReconnectSpread);
    server_->BeginDrain();
    registry_.WaitUntilEmpty(grace);
    const bool all_ended = server_->Drain(std::min(grace, kGraceOfQueries));
    // Work may outlast its call: the destructor waits for it.
    return all_ended && events_.idle() && subscriptions_.idle() && admin_.idle();
  }

 private:
  // Each does its own locking.
  CallGate gate_;
  RpcMetrics metrics_;
  StreamRegistry registry_;
  SelectionPool selections_;
  BatchSource batches_;
  // Each kind of work has threads of its own: none waits behind another.
  Executor pages_;
  Executor openings_;
  Executor executor_;  // queries
  EventService events_;
  SubscriptionService subscriptions_;
  AdminService admin_;
  MethodTable table_;  // constant after construction
  HealthService health_;
  const Reflection reflection_;
  std::unique_ptr<GrpcServer> server_;  // after Listen; ends first
};

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(const RpcServerOptions& options,
                                                            const RpcServerContext& context) {
  auto server = std::make_unique<RpcServerImpl>(options, context);
  const absl::Status listening = server->Listen(options, context);
  if (!listening.ok()) return listening;
  return std::unique_ptr<RpcServer>(std::move(server));
}

}  // namespace hookgate
