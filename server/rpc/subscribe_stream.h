// One Subscribe call: carries out what its SubscribeSession decides.
//
// At any moment one thread at most has the stream's *turn* and drives the session: whoever opens
// it, gRPC when a write is done, an executor thread that has read a page, or whoever wakes the
// stream while it rests. Others who want something leave a note and are heard at the end of the
// turn; so is what has been read from the log, which takes as long as it takes. So there is no
// thread and no queue per stream, and at most one frame in memory.
//
// There may be ten thousand of them, mostly idle: what a stream does not need then, it does not
// hold.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/base/clock.h"
#include "server/base/executor.h"
#include "server/delivery/batch_source.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/selection.h"
#include "server/delivery/subscribe_session.h"
#include "server/eventlog/event_log.h"
#include "server/rpc/caller.h"
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
};

// Held by the registry from Start to OnDone; by others only while they call it.
class SubscribeStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                              public HeadWatch::Waiter,
                              public OpenStream,
                              public std::enable_shared_from_this<SubscribeStream> {
 public:
  SubscribeStream(std::string client_name, Caller caller, const StreamContext& context);

  // Once, after the registry holds the stream.
  void Start(hookgate::v1::SubscribeRequest request);

  void Wake() override ABSL_LOCKS_EXCLUDED(mu_);
  void Drain(absl::Duration reconnect_delay) override ABSL_LOCKS_EXCLUDED(mu_);
  void Recheck() override ABSL_LOCKS_EXCLUDED(mu_);

  void OnWriteDone(bool ok) override;
  void OnCancel() override ABSL_LOCKS_EXCLUDED(mu_);
  void OnDone() override;  // gRPC's last call here

 private:
  // What the session awaits has been read.
  void OnRead(const absl::StatusOr<BatchFramePtr>& batch) ABSL_LOCKS_EXCLUDED(mu_);

  // All of these need the turn.
  void Open(const hookgate::v1::SubscribeRequest& request);
  void Advance() ABSL_LOCKS_EXCLUDED(mu_);
  void StartReading();
  absl::Status HearNotes() ABSL_LOCKS_EXCLUDED(mu_);  // an error ends the stream
  bool Rest(const SubscribeSession::Step& step)
      ABSL_LOCKS_EXCLUDED(mu_);  // false: still has the turn
  void End(const absl::Status& status);

  // Constant after construction.
  const std::string client_name_;
  const Caller caller_;
  // Not the service's own: who has given up the turn may still be about to wait on the watch when
  // another ends the stream, and the service with it.
  const StreamContext context_;

  // Touched only by whoever has the turn.
  absl::optional<SubscribeSession> session_;  // once opened
  grpc::ByteBuffer frame_;                    // gRPC's from StartWrite to OnWriteDone

  absl::Mutex mu_;
  bool turn_taken_ ABSL_GUARDED_BY(mu_) = true;  // from Start on; stays so once ended
  bool woken_ ABSL_GUARDED_BY(mu_) = false;      // while the turn was taken
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  bool recheck_ ABSL_GUARDED_BY(mu_) = false;  // rights may have been lost
  absl::optional<absl::Duration> drain_delay_ ABSL_GUARDED_BY(mu_);
  absl::optional<absl::StatusOr<BatchFramePtr>> read_ ABSL_GUARDED_BY(mu_);  // for the session
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIBE_STREAM_H_
