// One Pull call: a receiver that takes one lot of deliveries, or none when its time is up.
#ifndef HOOKGATE_SERVER_RPC_PULL_CALL_H_
#define HOOKGATE_SERVER_RPC_PULL_CALL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_registry.h"
#include "server/grpc_server/call.h"
#include "server/rpc/caller.h"
#include "server/rpc/consume_stream.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// Held by the server until OnEnd, and by the registry from its request on; by others only while
// they call it.
class PullCall final : public CallHandler,
                       public Receiver,
                       public HeadWatch::Waiter,
                       public OpenStream,
                       public std::enable_shared_from_this<PullCall> {
 public:
  // Reads the request.
  PullCall(std::shared_ptr<Call> call, Caller caller, const ConsumeContext& context);

  // On the connection's thread.
  void OnMessage(std::string bytes) override;
  void OnHalfClose() override;
  Message NextMessage() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnGoAway() override;
  void OnEnd(CallEnd end) override ABSL_LOCKS_EXCLUDED(mu_);

  // On any thread.
  void OnDeliveries(std::vector<Delivery> deliveries) override;
  void OnEnd(const absl::Status& status) override;
  void Wake() override ABSL_LOCKS_EXCLUDED(mu_);  // its time is up
  void Drain(absl::Duration reconnect_delay) override;
  void Recheck() override;

 private:
  absl::Status Attach() ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the call without deliveries, if there are none for it.
  void EndIfNone(Subscription& subscription, AttachmentId stream);
  // The first end counts.
  void End(const absl::Status& status, const std::vector<Delivery>& deliveries = {})
      ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::shared_ptr<Call> call_;
  const Caller caller_;
  const ConsumeContext context_;

  bool requested_ = false;             // touched only on the connection's thread
  hookgate::v1::PullRequest request_;  // constant once the registry holds the call

  absl::Mutex mu_;
  std::shared_ptr<Subscription> subscription_ ABSL_GUARDED_BY(mu_);
  AttachmentId stream_ ABSL_GUARDED_BY(mu_) = 0;        // 0: not attached
  std::vector<DeliveryId> taken_ ABSL_GUARDED_BY(mu_);  // what the answer delivers
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  Message response_ ABSL_GUARDED_BY(mu_);  // to be sent
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PULL_CALL_H_
