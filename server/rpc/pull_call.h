// One Pull call: a receiver that takes one lot of deliveries, or none when its time is up.
#ifndef HOOKGATE_SERVER_RPC_PULL_CALL_H_
#define HOOKGATE_SERVER_RPC_PULL_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/delivery_encoding.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_registry.h"
#include "server/rpc/caller.h"
#include "server/rpc/consume_stream.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// Held by the registry from Start to OnDone; by others only while they call it.
class PullCall final : public grpc::ServerUnaryReactor,
                       public Receiver,
                       public HeadWatch::Waiter,
                       public OpenStream,
                       public std::enable_shared_from_this<PullCall> {
 public:
  // gRPC keeps `request` and `response` until OnDone.
  PullCall(const hookgate::v1::PullRequest& request, hookgate::v1::PullResponse& response,
           Caller caller, const ConsumeContext& context)
      : request_(request), response_(response), caller_(std::move(caller)), context_(context) {}

  // Once, after the registry holds the call.
  void Start();

  void OnDeliveries(std::vector<Delivery> deliveries) override;
  void OnEnd(const absl::Status& status) override;
  void Wake() override;  // its time is up
  void Drain(absl::Duration reconnect_delay) override;
  void Recheck() override;

  void OnCancel() override;
  void OnDone() override;  // gRPC's last call here

 private:
  absl::Status Attach();
  // Ends the call without deliveries, if there are none for it.
  void EndIfNone(Subscription& subscription, StreamId stream);
  // The first end counts.
  void End(const absl::Status& status, const std::vector<Delivery>& deliveries = {})
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const hookgate::v1::PullRequest& request_;
  hookgate::v1::PullResponse& response_;
  const Caller caller_;
  const ConsumeContext context_;

  absl::Mutex mu_;
  std::shared_ptr<Subscription> subscription_ ABSL_GUARDED_BY(mu_);
  StreamId stream_ ABSL_GUARDED_BY(mu_) = 0;            // 0: not attached
  std::vector<DeliveryId> taken_ ABSL_GUARDED_BY(mu_);  // what the answer delivers
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PULL_CALL_H_
