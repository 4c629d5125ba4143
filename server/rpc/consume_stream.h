// One Consume call: passes a client's frames to its Subscription, and what that has for the client
// back. It decides nothing but what goes out next:
//
//   Opened; then results of acks, deliveries, heartbeats as they come; then Draining, if the
//   gateway goes down; then the end.
//
// What it holds is bounded: one frame that gRPC writes, one of deliveries behind it, and results of
// as many acks as it has read; while many are unanswered it reads no more.
#ifndef HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_
#define HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/clock.h"
#include "server/base/executor.h"
#include "server/delivery/delivery_encoding.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_registry.h"
#include "server/rpc/caller.h"
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
};

// Held by the registry from Start to OnDone; by others only while they call it.
class ConsumeStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                            public Receiver,
                            public HeadWatch::Waiter,
                            public OpenStream,
                            public std::enable_shared_from_this<ConsumeStream> {
 public:
  ConsumeStream(Caller caller, const ConsumeContext& context);

  // Once, after the registry holds the stream.
  void Start();

  void OnDeliveries(std::vector<Delivery> deliveries) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnEnd(const absl::Status& status) override;
  void Wake() override ABSL_LOCKS_EXCLUDED(mu_);  // a heartbeat may be due
  void Drain(absl::Duration reconnect_delay) override ABSL_LOCKS_EXCLUDED(mu_);
  void Recheck() override ABSL_LOCKS_EXCLUDED(mu_);

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnWriteDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override;  // gRPC's last call here

 private:
  enum class FrameKind { kOpened, kResults, kDeliveries, kHeartbeat, kDraining };
  struct Frame {
    FrameKind kind;
    std::string bytes;
  };

  // Reading: one thread at a time, as gRPC has one read under way at a time.
  absl::Status Handle(const hookgate::v1::ConsumeRequest& request);
  absl::Status Open(const hookgate::v1::ConsumeRequest::Open& open) ABSL_LOCKS_EXCLUDED(mu_);
  void Settle(AckItems items) ABSL_LOCKS_EXCLUDED(mu_);
  void OnSettled(const std::vector<std::string>& ids,
                 const absl::StatusOr<std::vector<AckOutcome>>& outcomes) ABSL_LOCKS_EXCLUDED(mu_);
  void ReadOn() ABSL_LOCKS_EXCLUDED(mu_);  // unless much is unanswered

  // Takes nothing more from the subscription; what was read before is answered, then `farewell` is
  // sent, if there is one, and the call ends with `status`. `why` is what becomes of the leases;
  // nullopt: the client has closed its side or is gone, and Release will say which. Harmless when
  // repeated.
  void End(const absl::Status& status, absl::optional<DeliveryCause> why, std::string farewell = "")
      ABSL_LOCKS_EXCLUDED(mu_);
  // Gives the leases back, unless that was done. Harmless when repeated.
  void Release(DeliveryCause why) ABSL_LOCKS_EXCLUDED(mu_);
  // Sends the next frame, or ends the call, if neither is under way.
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);
  absl::optional<Frame> NextFrame() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AwaitHeartbeat() ABSL_LOCKS_EXCLUDED(mu_);
  void SendHeartbeat() ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Caller caller_;
  const ConsumeContext context_;

  // Touched only in reading; constant once opened.
  std::shared_ptr<Subscription> subscription_;
  bool include_raw_body_ = false;
  absl::Duration heartbeat_interval_;
  grpc::ByteBuffer request_;  // gRPC's while it reads

  grpc::ByteBuffer frame_;  // gRPC's while it writes

  absl::Mutex mu_;
  StreamId stream_ ABSL_GUARDED_BY(mu_) = 0;  // 0: not attached
  bool opened_ ABSL_GUARDED_BY(mu_) = false;
  std::string wanted_ ABSL_GUARDED_BY(mu_);        // the subscription's name, once asked for
  std::string description_ ABSL_GUARDED_BY(mu_);   // for the log, once opened
  std::deque<Frame> frames_ ABSL_GUARDED_BY(mu_);  // to be sent, behind results_
  hookgate::v1::ConsumeResponse results_ ABSL_GUARDED_BY(mu_);
  int64_t unanswered_ ABSL_GUARDED_BY(mu_) = 0;  // items read whose results are not in results_
  // Calls to StartRead: the call must not end meanwhile. Two at a time, when the first read is done
  // before its StartRead has returned.
  int starting_reads_ ABSL_GUARDED_BY(mu_) = 0;
  bool reading_paused_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  FrameKind written_ ABSL_GUARDED_BY(mu_) = FrameKind::kOpened;  // while writing_
  absl::Duration last_write_ ABSL_GUARDED_BY(mu_);               // on the monotonic clock
  bool heartbeat_waits_for_write_ ABSL_GUARDED_BY(mu_) = false;
  absl::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);
  std::string farewell_ ABSL_GUARDED_BY(mu_);  // to be sent before the end
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CONSUME_STREAM_H_
