// Works off a durable subscription: the gateway keeps the position, this keeps the leases.
//
//   hookgate::Consumer consumer({.target = "gateway:50051", .subscription = "billing",
//                                .consumer_name = "billing-1", .concurrency = 8});
//   absl::Status end = consumer.Run([](const hookgate::v1::Delivery& delivery) {
//     return RetryBatch(delivery.event().subject()).ok() ? hookgate::Verdict::Ack()
//                                                        : hookgate::Verdict::Nack("no answer");
//   });
//
// The law: an event is acked only after the handler said so, so each is handled at least once. It
// comes twice if a stream breaks, or a lease ends, before the gateway has the ack; handlers should
// be idempotent, and (source, webhook_id) is the key. Within one Consumer no event is handled twice
// at a time: when one comes again while its handler runs, that handler's verdict counts for the
// newer delivery, unless it is GiveBack: then the event is handled again.
//
// While a handler runs, its lease is extended. A handler that must not work on an event that others
// may have by now asks its Hold, or is told by it (OnLost). BEHAVIOUR.md says all that this class
// does; the libraries in other languages do the same.
#ifndef HOOKGATE_CLIENT_CONSUMER_H_
#define HOOKGATE_CLIENT_CONSUMER_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/backoff.h"
#include "client/connection_security.h"
#include "grpcpp/support/sync_stream.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace hookgate {

class Connection;
class MonotonicCondVar;
class Watchdog;
struct GatewayError;

// "HOST-PID-RANDOM": a consumer name that no other process has, and that tells where to look.
std::string UniqueConsumerName();

// What a handler decides about one delivery.
struct Verdict {
  enum class Kind { kAck, kNack, kDeadLetter, kGiveBack };

  // Done with it.
  static Verdict Ack() { return {}; }
  // Again after `delay`; without one, after the subscription's back-off. It counts as an attempt.
  static Verdict Nack(std::string reason, std::optional<absl::Duration> delay = std::nullopt) {
    return {Kind::kNack, std::move(reason), delay};
  }
  // Never again, whatever attempts are left.
  static Verdict DeadLetter(std::string reason) { return {Kind::kDeadLetter, std::move(reason)}; }
  // Not handled, through no fault of the event: it counts as no attempt. If the event is still held
  // (Hold::lost is false), the consumer stops as by Stop, because only the end of its stream gives
  // an event back; until then the lease is extended.
  static Verdict GiveBack() { return {Kind::kGiveBack, ""}; }

  Kind kind = Kind::kAck;
  std::string reason;
  std::optional<absl::Duration> delay;
};

// Whether an event is still the handler's alone. Thread-safe.
class Hold {
 public:
  // True from the moment when the event may be offered to another consumer: its stream has ended,
  // its lease was lost or has run out, or a stop gives it back.
  bool lost() const ABSL_LOCKS_EXCLUDED(mu_);
  // Calls `then` once when the event is lost, at once if it is already; never after the handler has
  // returned. `then` runs on a thread of the consumer's or in this call, and must neither block nor
  // use the Hold or the Consumer. A second call replaces what the first one set.
  void OnLost(std::function<void()> then) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class Consumer;
  void Lose() ABSL_LOCKS_EXCLUDED(mu_);
  // From here on nothing is called.
  void Close() ABSL_LOCKS_EXCLUDED(mu_);

  mutable absl::Mutex mu_;
  bool lost_ ABSL_GUARDED_BY(mu_) = false;
  std::function<void()> then_ ABSL_GUARDED_BY(mu_);
};

// Stop and StopAndGiveBack may be called from any thread, all else from one.
class Consumer {
 public:
  // Called from the thread in Run, which reads what comes from the gateway: should return soon. Any
  // may be left empty.
  struct Observers {
    // A stream is open.
    std::function<void(const v1::ConsumeResponse::Opened&)> opened;
    // Its conditions say why nothing may come.
    std::function<void(const v1::ConsumeResponse::Heartbeat&)> heartbeat;
    std::function<void(const v1::ConsumeResponse::Draining&)> draining;
    // The stream broke, or could not be opened; the next try comes after `delay`.
    std::function<void(const absl::Status& why, absl::Duration delay)> disconnected;
  };

  struct Options {
    // The gateway: "host:port". Not used with a Connection of your own.
    std::string target = "127.0.0.1:50051";
    ConnectionSecurity security;  // TLS and token; not used with a Connection of your own
    std::string subscription;
    // Who consumes, as the gateway shows it. Consumers of one name share one limit, that of the
    // last one that opened a stream; so each process should have its own. Empty:
    // UniqueConsumerName().
    std::string consumer_name;
    // How many deliveries are handled at a time, each on a thread; no more than these are taken.
    int concurrency = 1;
    // Stops after so many have been begun; 0: never.
    int64_t max_events = 0;
    // How long one delivery's lease is extended, from its arrival: a handler that hangs for longer
    // loses it, which counts as an attempt.
    absl::Duration longest_lease = absl::Hours(1);
    // How long Stop waits for handlers and for the gateway's answers, before it goes on as
    // StopAndGiveBack.
    absl::Duration stop_grace = absl::Seconds(30);
    // How long StopAndGiveBack waits for handlers whose event is lost to them, before it gives the
    // event back all the same.
    absl::Duration give_back_grace = absl::Seconds(10);
    // The longest silence of a living stream. One that is silent for 2.5 times as long is dead.
    absl::Duration heartbeat_interval = absl::Seconds(15);
    // How long connecting and opening a stream may take.
    absl::Duration open_timeout = absl::Seconds(20);
    bool include_raw_body = false;
    BackoffPolicy backoff;
    Observers observers;
  };

  // Called on up to `concurrency` threads of the consumer's at a time. It may call Stop. `hold`
  // lives until it returns.
  using Handler = std::function<Verdict(const v1::Delivery&)>;
  using HoldingHandler = std::function<Verdict(const v1::Delivery&, Hold& hold)>;

  explicit Consumer(Options options);
  // `connection` outlives the consumer.
  Consumer(Connection& connection, Options options);
  ~Consumer();

  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;

  // Handles deliveries until a stop (OK), or an answer that would not change by trying again
  // (IsPermanent in gateway_error.h): INVALID_ARGUMENT, NOT_FOUND (there is no such subscription,
  // or no more), PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED, and RESOURCE_EXHAUSTED if a
  // message of the gateway is larger than the connection takes. All else is tried again for ever,
  // with back-off; so is UNAUTHENTICATED if the token file holds another token by then. Returns
  // when no handler runs any more. Blocks; once only.
  absl::Status Run(const Handler& handler) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Run(const HoldingHandler& handler) ABSL_LOCKS_EXCLUDED(mu_);

  // Takes nothing more. What has not begun is given back, which counts as no attempt; what runs is
  // finished and acked, or given back when stop_grace has passed, which counts as none either: the
  // stream is closed, not cancelled, unless the gateway does not answer that for 10 s. Stays in
  // force.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);
  // The same without stop_grace: handlers that run lose their events at once, and the events are
  // given back as soon as those handlers have returned, or give_back_grace has passed. May follow
  // Stop. Must not be called with a lock held that a function given to Hold::OnLost takes.
  void StopAndGiveBack() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Stream = grpc::ClientReaderWriterInterface<v1::ConsumeRequest, v1::ConsumeResponse>;
  struct StreamEnd;

  using Holds = std::vector<std::shared_ptr<Hold>>;

  // A delivery that has not been settled. Times are on the monotonic clock.
  struct Lease {
    absl::Duration extend_at;
    absl::Duration until;  // Not extended from here on.
    absl::Duration ends;   // As far as this side knows: the gateway has confirmed no more.
  };

  // An event that a handler works on.
  struct Running {
    std::string delivery_id;  // The newest of the event.
    std::shared_ptr<Hold> hold;
    // The newer delivery, if the event came again on the open stream.
    std::optional<v1::Delivery> again;
  };

  StreamEnd RunStream();
  absl::Status WhyEnded(const GatewayError& error, const std::string& token, StreamEnd& end) const;
  void HandleFrame(v1::ConsumeResponse& frame, StreamEnd& end) ABSL_LOCKS_EXCLUDED(mu_);
  void Accept(v1::ConsumeResponse::Deliveries& deliveries) ABSL_LOCKS_EXCLUDED(mu_);
  void TakeOver(v1::Delivery& delivery) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnResults(const v1::ConsumeResponse::AckResults& results) ABSL_LOCKS_EXCLUDED(mu_);
  // From here on Keep may end `stream`.
  void BeginStream(Stream* stream) ABSL_LOCKS_EXCLUDED(mu_);
  // From here on it writes to it as well.
  void OnOpened(const v1::ConsumeResponse::Opened& opened) ABSL_LOCKS_EXCLUDED(mu_);
  // From here on it does neither. What was not answered is sent again on the next stream.
  void EndStream() ABSL_LOCKS_EXCLUDED(mu_);
  void SetCall(grpc::ClientContext* call, Watchdog* cut) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Duration DelayAfter(const StreamEnd& end);

  // A worker thread's life.
  void Work(const HoldingHandler& handler) ABSL_LOCKS_EXCLUDED(mu_);
  void Settle(int64_t sequence, Verdict verdict) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Puts a verdict into the outbox, beside others that wait there.
  void Send(const std::string& delivery_id, const Verdict& verdict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The keeper thread's life: writes verdicts and extensions, and ends the stream after a stop.
  void Keep() ABSL_LOCKS_EXCLUDED(mu_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Ends leases that have run out, and has those extended whose time has come. Returns what is lost
  // by `now`, to be told without the lock.
  Holds LookAtLeases(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Holds TakeHoldOf(const std::string& delivery_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Holds AllHolds() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static void LoseAll(const Holds& holds);
  void StopTaking() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // From here on only give_back_grace counts.
  void BeginGivingBack(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Nothing is left that a graceful stop has to wait for.
  bool Settled() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The first frame of the outbox is to be written, rather than to wait for more acks.
  bool ShouldWrite(absl::Duration now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Wakes a worker if there is something to do, and none wakes up already: that one wakes the next.
  void WakeWorker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The stream is to be ended, rather than written to.
  bool ShouldEnd(absl::Duration now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Duration NextWake(absl::Duration now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndThreads() ABSL_LOCKS_EXCLUDED(mu_);
  bool stopped() const ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Options options_;
  const std::unique_ptr<Connection> own_connection_;
  Connection& connection_;

  // Touched only by the thread in Run.
  absl::BitGen random_;
  std::vector<std::thread> threads_;
  absl::Duration heartbeat_interval_;  // As the gateway confirmed it.
  int failures_ = 0;                   // Streams in a row that brought nothing.

  mutable absl::Mutex mu_;
  // For the threads in Run and Keep. Workers wait for their work apart from them, or every verdict
  // would wake all of them.
  const std::unique_ptr<MonotonicCondVar> changed_;
  absl::CondVar has_work_;
  int idle_ ABSL_GUARDED_BY(mu_) = 0;  // Workers that wait.
  bool waking_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool over_ ABSL_GUARDED_BY(mu_) = false;  // The threads shall end.
  // When a stop begins to give back, when it ends the stream, and when it cuts it off.
  absl::Duration stop_deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  absl::Duration end_deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  absl::Duration cut_deadline_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
  Watchdog* cut_ ABSL_GUARDED_BY(mu_) = nullptr;  // Cuts call_ off.
  Stream* stream_ ABSL_GUARDED_BY(mu_) = nullptr;
  bool opened_ ABSL_GUARDED_BY(mu_) = false;   // The gateway has answered Open on stream_.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;  // Keep is in a call to stream_.
  bool ended_ ABSL_GUARDED_BY(mu_) = false;    // Keep has closed stream_'s sending side.
  absl::Duration ack_deadline_ ABSL_GUARDED_BY(mu_) = absl::Seconds(30);
  // Not begun, all of the stream that is open: the limits that were asked for bound it.
  std::deque<v1::Delivery> waiting_ ABSL_GUARDED_BY(mu_);
  int64_t begun_ ABSL_GUARDED_BY(mu_) = 0;
  // What handlers run for, by sequence.
  std::unordered_map<int64_t, Running> running_ ABSL_GUARDED_BY(mu_);
  // By delivery id: what waits or runs, of the stream that is open.
  std::unordered_map<std::string, Lease> leases_ ABSL_GUARDED_BY(mu_);
  // Not later than the first time at which a lease is to be looked at.
  absl::Duration next_lease_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // Verdicts and extensions to write. Bounded by what was delivered.
  std::deque<v1::ConsumeRequest> outbox_ ABSL_GUARDED_BY(mu_);
  // When the last of them is written, if it is one of acks and could take more.
  absl::Duration write_at_ ABSL_GUARDED_BY(mu_) = absl::InfiniteDuration();
  // By delivery id: verdicts that the gateway has not answered, and when each of the extensions
  // before them was asked for.
  std::unordered_map<std::string, Verdict> unanswered_ ABSL_GUARDED_BY(mu_);
  std::unordered_map<std::string, std::deque<absl::Duration>> extensions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CONSUMER_H_
