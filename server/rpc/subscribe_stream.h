// One Subscribe call: carries out what its SubscribeSession decides.
//
// The session belongs to the thread of the call's connection, which asks for a frame when one can
// go out. Who wants something from another thread (news, a page that was read, a drain, rights that
// have changed) leaves a note and wakes the call. So there is no thread and no queue for each
// stream, and at most one frame in memory.
//
// There may be ten thousand of them, mostly idle: what a stream does not need then, it does not
// hold.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/base/executor.h"
#include "server/delivery/batch_source.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/selection.h"
#include "server/delivery/subscribe_session.h"
#include "server/eventlog/event_log.h"
#include "server/grpc_server/call.h"
#include "server/rpc/caller.h"
#include "server/rpc/cursors_ahead.h"
#include "server/rpc/rpc_metrics.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// What streams work with. All of it outlives them.
struct StreamContext {
  EventLog& log;
  SelectionPool& selections;
  BatchSource& batches;
  HeadWatch& watch;
  Executor& executor;  // for queries
  Executor& pages;     // for what streams read that are behind the tail
  Executor& openings;  // for finding where a stream starts, if that takes a look-up
  StreamRegistry& registry;
  const Clock& clock;
  CallGate& gate;
  RpcMetrics* metrics = nullptr;  // null: nothing is counted
  CursorsAhead cursors_ahead = {};
};

// Held by the server until OnEnd, and by the registry from its request on; by others only while
// they call it.
class SubscribeStream final : public CallHandler,
                              public HeadWatch::Waiter,
                              public OpenStream,
                              public std::enable_shared_from_this<SubscribeStream> {
 public:
  // Reads the request.
  SubscribeStream(std::shared_ptr<Call> call, std::shared_ptr<const Caller> caller,
                  std::shared_ptr<const StreamContext> context);

  // On the connection's thread.
  void OnMessage(std::string bytes) override;
  void OnHalfClose() override;
  Message NextMessage() override;
  void OnGoAway() override;
  void OnEnd(CallEnd end) override;

  // On any thread.
  void Wake() override { call_->Wake(); }
  void Drain(absl::Duration reconnect_delay) override ABSL_LOCKS_EXCLUDED(mu_);
  void Recheck() override ABSL_LOCKS_EXCLUDED(mu_);
  bool Describe(hookgate::v1::StreamInfo& info) override;
  void CountIfBehind(int64_t head, StreamsBehind& behind) override;

 private:
  // A request to start after an event that is not here yet.
  struct Ahead {
    hookgate::v1::SubscribeRequest request;
    Sequence sequence = 0;
    absl::Duration deadline;  // in monotonic time
  };

  // What others want of the stream; made only when one of them does.
  struct Notes {
    std::unique_ptr<Ahead> ahead;
    absl::optional<absl::StatusOr<SubscribeSettings>> opened;
    absl::optional<absl::StatusOr<BatchFramePtr>> read;
    absl::optional<absl::Duration> drain_delay;
    bool recheck = false;  // rights may have been lost
  };

  absl::Status CheckRequest(const hookgate::v1::SubscribeRequest& request) const;
  absl::Status Start(hookgate::v1::SubscribeRequest request);
  void PostFindStart(hookgate::v1::SubscribeRequest request, absl::Duration deadline);
  // A cursor that is ahead is not an error before `deadline`, but noted.
  void FindStart(hookgate::v1::SubscribeRequest request, absl::Duration deadline)
      ABSL_LOCKS_EXCLUDED(mu_);
  void AwaitStart();
  void Open(SubscribeSettings settings);
  absl::Status TakePendingRequests() ABSL_LOCKS_EXCLUDED(mu_);  // an error ends the stream
  void StartReading();
  bool IsBehind(int64_t lag) const { return !caught_up_ || lag > kMaxLiveLag; }
  bool Rest(const SubscribeSession::Step& step);  // false: there is something to do
  void End(const absl::Status& status);
  void Show(const SubscribeSession::Step& step);
  Notes& notes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const std::shared_ptr<Call> call_;
  const std::shared_ptr<const Caller> caller_;
  // Shared: who reads for the stream may be about to do so when the server, and the service with
  // it, ends.
  const std::shared_ptr<const StreamContext> context_;
  const absl::Time open_time_;
  std::string client_name_;  // constant once the registry holds the stream

  // Touched only on the connection's thread.
  enum class State { kWaiting, kStarted, kEnded };  // for the request; it is in the registry; ended
  State state_ = State::kWaiting;
  absl::optional<SubscribeSession> session_;  // once opened
  std::unique_ptr<Ahead> ahead_;              // while it is waited for

  // What Describe shows. Written on the connection's thread, read on any; they need not agree.
  std::atomic<const SubscribeSession*> opened_ = nullptr;  // of it, only what is constant
  std::atomic<Sequence> position_ = 0;
  std::atomic<bool> caught_up_ = false;
  std::atomic<int64_t> sent_events_ = 0;
  std::atomic<int64_t> sent_bytes_ = 0;

  absl::Mutex mu_;
  std::unique_ptr<Notes> notes_ ABSL_GUARDED_BY(mu_);  // null: none
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_
