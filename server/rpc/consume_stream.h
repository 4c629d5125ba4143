// One Consume call: passes a client's frames to its Subscription, and what that has for the client
// back, in the order that its ConsumeSession decides.
//
// The client's frames are handled on the thread of the call's connection; deliveries, results and
// the end come on others. So the session has a lock, under which nothing is called.
#ifndef HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_
#define HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/executor.h"
#include "server/delivery/consume_session.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_registry.h"
#include "server/grpc_server/call.h"
#include "server/rpc/caller.h"
#include "server/rpc/rpc_metrics.h"
#include "server/rpc/stream_registry.h"
#include "server/rpc/subscription_messages.h"

namespace hookgate {

// What consumers are served with. All of it outlives them.
struct ConsumeContext {
  SubscriptionRegistry& subscriptions;
  HeadWatch& watch;
  Executor& executor;  // for calls that read the log
  StreamRegistry& registry;
  const Clock& clock;
  CallGate& gate;
  RpcMetrics* metrics = nullptr;  // null: nothing is counted
};

// Held by the server and the registry until OnEnd; by others only while they call it.
class ConsumeStream final : public CallHandler,
                            public Receiver,
                            public HeadWatch::Waiter,
                            public OpenStream,
                            public std::enable_shared_from_this<ConsumeStream> {
 public:
  ConsumeStream(std::shared_ptr<Call> call, Caller caller, const ConsumeContext& context);

  // Once, after the registry holds the stream.
  void Start() { ReadOn(); }

  // On the connection's thread.
  void OnMessage(std::string bytes) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnHalfClose() override;
  Message NextMessage() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnGoAway() override;
  void OnEnd(CallEnd end) override ABSL_LOCKS_EXCLUDED(mu_);

  // On any thread.
  void OnDeliveries(std::vector<Delivery> deliveries) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(const absl::Status& status) override;  // the subscription's
  void Wake() override ABSL_LOCKS_EXCLUDED(mu_);    // a heartbeat may be due
  void Drain(absl::Duration reconnect_delay) override ABSL_LOCKS_EXCLUDED(mu_);
  void Recheck() override ABSL_LOCKS_EXCLUDED(mu_);
  bool Describe(hookgate::v1::StreamInfo& info) override ABSL_LOCKS_EXCLUDED(mu_);
  void CountIfBehind(int64_t head, StreamsBehind& behind) override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // On the connection's thread.
  absl::Status Handle(const hookgate::v1::ConsumeRequest& request) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Open(const hookgate::v1::ConsumeRequest::Open& open) ABSL_LOCKS_EXCLUDED(mu_);
  void Settle(AckItems items) ABSL_LOCKS_EXCLUDED(mu_);
  void ReadOn() ABSL_LOCKS_EXCLUDED(mu_);  // unless much is unanswered
  Message Heartbeat();
  void AwaitHeartbeat(absl::Duration due) ABSL_LOCKS_EXCLUDED(mu_);

  void OnSettled(std::vector<std::string> ids,
                 const absl::StatusOr<std::vector<AckOutcome>>& outcomes) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the session, unless it is ending: what was read before is answered, then the call ends
  // with `status`. `why` is what becomes of the leases; nullopt: the client has closed its side or
  // is gone, and Release will say which.
  void End(const absl::Status& status, absl::optional<DeliveryCause> why) ABSL_LOCKS_EXCLUDED(mu_);
  // Gives the leases back, unless that was done. Harmless when repeated.
  void Release(DeliveryCause why) ABSL_LOCKS_EXCLUDED(mu_);
  // Ends the call if the session is done. For those who cannot know that a frame can go out.
  void FinishIfDone() ABSL_LOCKS_EXCLUDED(mu_);
  void Finish(const absl::Status& status);
  std::string description() const ABSL_LOCKS_EXCLUDED(mu_);
  AttachmentId attached() const ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const std::shared_ptr<Call> call_;
  const Caller caller_;
  const ConsumeContext context_;
  const absl::Time open_time_;

  // Set once on the connection's thread, by Open; constant for others, who come after it.
  std::shared_ptr<Subscription> subscription_;
  ConsumeSettings settings_;

  // Touched only on the connection's thread.
  bool sending_deliveries_ = false;  // the last frame that was given out has some

  mutable absl::Mutex mu_;
  ConsumeSession session_ ABSL_GUARDED_BY(mu_);
  AttachmentId stream_ ABSL_GUARDED_BY(mu_) = 0;  // 0: not attached
  std::string wanted_ ABSL_GUARDED_BY(mu_);       // the subscription's name, once asked for
  std::string consumer_ ABSL_GUARDED_BY(mu_);     // the consumer's, once opened
  std::string description_ ABSL_GUARDED_BY(mu_);  // for the log, once opened
  bool heartbeat_awaited_ ABSL_GUARDED_BY(mu_) = false;
  int64_t events_to_send_ ABSL_GUARDED_BY(mu_) = 0;  // in the deliveries that the session has

  std::atomic<int64_t> sent_events_ = 0;
  std::atomic<int64_t> sent_bytes_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_
