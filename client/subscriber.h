// Receives a gateway's events, in order, over any number of broken streams.
//
//   hookgate::FileCursorStore cursors("/var/lib/billing/hookgate.cursor");
//   hookgate::Subscriber subscriber({.target = "gateway:50051",
//                                    .start = hookgate::Subscriber::Earliest{},
//                                    .cursor_store = &cursors});
//   absl::Status end = subscriber.Run([](const hookgate::v1::Event& event) {
//     if (event.has_batch_failed()) RetryBatch(event.batch_failed().data().id());
//     return absl::OkStatus();
//   });
//
// or, as a loop of one's own:
//
//   for (const hookgate::v1::Event& event : subscriber.Events()) Alert(event);
//   absl::Status end = subscriber.end();
//
// The law: the position moves past an event only after the handler returned OK for it, or the loop
// asked for the next one; so each event is handled at least once, and twice only if the process
// dies between handling and saving. Handlers should be idempotent; (source, webhook_id) is the key.
// BEHAVIOUR.md says all that this class does; the libraries in other languages do the same.
#ifndef HOOKGATE_CLIENT_SUBSCRIBER_H_
#define HOOKGATE_CLIENT_SUBSCRIBER_H_

#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/backoff.h"
#include "client/connection_security.h"
#include "client/cursor_store.h"
#include "hookgate/v1/event_service.pb.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace hookgate {

class Clock;
class Connection;
class MonotonicCondVar;

// Stop may be called from any thread, all else from one.
class Subscriber {
 public:
  // Where to begin when there is no position yet.
  struct Latest {};    // Only events stored from now on.
  struct Earliest {};  // The oldest event still held.
  struct After {       // Exactly after an event handled before.
    std::string cursor;
  };
  struct Since {  // The earliest event received at or after this.
    absl::Time time;
  };
  using Start = std::variant<Latest, Earliest, After, Since>;

  // Called from Run, between events; should return soon. Any may be left empty.
  struct Observers {
    // A stream is open. From the first one on, its cursor is the position: later streams go on from
    // there, whatever `start` says.
    std::function<void(const v1::SubscribeResponse::Opened&)> opened;
    // Everything stored has been handled.
    std::function<void(const v1::SubscribeResponse::CaughtUp&)> caught_up;
    std::function<void(const v1::SubscribeResponse::Heartbeat&)> heartbeat;
    std::function<void(const v1::SubscribeResponse::Draining&)> draining;
    // The stream broke, or could not be opened; the next try comes after `delay`.
    std::function<void(const absl::Status& why, absl::Duration delay)> disconnected;
  };

  struct Options {
    // The gateway: "host:port". Not used with a Connection of your own.
    std::string target = "127.0.0.1:50051";
    ConnectionSecurity security;  // TLS and token; not used with a Connection of your own
    // Empty: every event.
    v1::EventFilter filter;
    // Used when `cursor_store` is null or holds no cursor.
    Start start = Latest{};
    // The longest silence of a living stream; the gateway takes 100 ms to 10 min. A stream that is
    // silent for 2.5 times as long is dead: it is given up and opened again.
    absl::Duration heartbeat_interval = absl::Seconds(15);
    // How long connecting and opening a stream may take.
    absl::Duration open_timeout = absl::Seconds(20);
    // Who is asking, for the gateway's logs.
    std::string client_name;
    // Fill Event.raw_body.
    bool include_raw_body = false;
    // Keeps the position while no one runs; null: it is forgotten. Outlives the subscriber.
    CursorStore* cursor_store = nullptr;
    // The position is saved after each frame of events, and within a long frame whenever this has
    // passed: what was handled since then comes again if the process dies. 0: after each event.
    absl::Duration save_interval = absl::Seconds(1);
    BackoffPolicy backoff;
    Observers observers;
    // Measures save_interval, for tests; null: the machine's clock does. Outlives the subscriber.
    const Clock* clock = nullptr;
  };

  // Called for one event at a time, in sequence order. Anything but OK ends Run, and the event
  // counts as not handled.
  using Handler = std::function<absl::Status(const v1::Event&)>;

  explicit Subscriber(Options options);
  // `connection` outlives the subscriber.
  Subscriber(Connection& connection, Options options);
  ~Subscriber();

  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // Handles events until Stop (OK), the handler's first error (that error), an error of the cursor
  // store (that error), or an answer that would not change by trying again. Blocks; once only.
  // Such answers, each with a message that says what happened and the next safe step:
  //   INVALID_ARGUMENT     the gateway finds the request wrong: filter, cursor, interval
  //   OUT_OF_RANGE         events after the position are no longer held; names the earliest cursor
  //   FAILED_PRECONDITION  the position is one of another log, or of this one before it was put
  //                        back to an older state; names the earliest cursor, and, if it is known,
  //                        the last one that both states have. The stored position stays as it is
  //   PERMISSION_DENIED, UNAUTHENTICATED   this client may not subscribe
  //   NOT_FOUND            the gateway has no such source
  //   UNIMPLEMENTED        there is no (recent) gateway behind the target
  //   RESOURCE_EXHAUSTED   an event is larger than the connection takes, as this side has found
  // A gateway's answer is judged by its reason (IsPermanent in gateway_error.h, and GatewayErrorOf
  // for what it told). Everything else (no route, a crash, a silent stream, a drain, a full
  // gateway) is tried again for ever, with back-off, from the position; so is UNAUTHENTICATED if
  // the token file holds another token by then.
  absl::Status Run(const Handler& handler);

  // The next event; the one before counts as handled by this call. Blocks until there is one. It is
  // valid until the next call. Null at the end, which end() tells, and from then on. Not together
  // with Run.
  const v1::Event* Next();
  // What Run would have returned, once Next has returned null. If the loop is left earlier, the
  // event at which it was counts as not handled, and the position is saved by the destructor.
  const absl::Status& end() const { return result_; }

  // All events for a range-based for, once: its end is Next's null.
  class EventRange;
  EventRange Events();

  // Ends Run, or the loop: at once when it waits for an event, otherwise after the handler
  // returned, or with the next call of Next. Stays in force: a later Run returns OK immediately.
  void Stop() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Stream;

  absl::Status LoadPosition();
  // Cheap if the position is as saved.
  absl::Status SavePosition();
  void MoveTo(const std::string& cursor);

  v1::SubscribeRequest MakeRequest() const;
  void OpenStream();
  // The event that Next returned last is handled. An error ends the subscription.
  absl::Status MarkHandled();
  // Reads and handles one frame, but for its events; nullopt: the stream is to be read on, or to be
  // opened again. Otherwise how the subscription ends.
  std::optional<absl::Status> ReadFrame();
  absl::Status HandleFrame();
  // What the end of the stream means, as ReadFrame.
  std::optional<absl::Status> FinishStream();
  // Ends the stream, if one is open, and the subscription. Returns null.
  const v1::Event* End(const absl::Status& result);
  absl::Duration DelayAfter(const Stream& stream, absl::Duration retry_delay);

  bool stopped() const ABSL_LOCKS_EXCLUDED(mu_);
  // Returns early if stopped.
  void WaitOrStop(absl::Duration delay) ABSL_LOCKS_EXCLUDED(mu_);
  // The call that Stop cancels; null: none.
  void SetCall(grpc::ClientContext* call) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Options options_;
  const Clock& clock_;
  const std::unique_ptr<Connection> own_connection_;
  Connection& connection_;

  // Touched only by the thread in Run or Next.
  absl::BitGen random_;
  std::unique_ptr<Stream> stream_;  // Null: none is open.
  bool loaded_ = false;
  bool ended_ = false;
  absl::Status result_;   // Once it has ended.
  std::string position_;  // Everything up to here is handled. Empty: begin at options_.start.
  std::string saved_position_;
  absl::Duration saved_at_;
  absl::Duration heartbeat_interval_;  // As the gateway confirmed it.
  int failures_ = 0;                   // Streams in a row that delivered nothing.

  mutable absl::Mutex mu_;
  const std::unique_ptr<MonotonicCondVar> stop_called_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* call_ ABSL_GUARDED_BY(mu_) = nullptr;
};

class Subscriber::EventRange {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = v1::Event;
    using difference_type = std::ptrdiff_t;
    using pointer = const v1::Event*;
    using reference = const v1::Event&;

    reference operator*() const { return *event_; }
    pointer operator->() const { return event_; }
    Iterator& operator++() {
      event_ = subscriber_->Next();
      return *this;
    }
    bool operator!=(const Iterator& other) const { return event_ != other.event_; }

   private:
    friend class EventRange;
    Iterator(Subscriber* subscriber, const v1::Event* event)
        : subscriber_(subscriber), event_(event) {}

    Subscriber* subscriber_;
    const v1::Event* event_;  // Null: the end.
  };

  Iterator begin() { return {&subscriber_, subscriber_.Next()}; }
  Iterator end() { return {&subscriber_, nullptr}; }

 private:
  friend class Subscriber;
  explicit EventRange(Subscriber& subscriber) : subscriber_(subscriber) {}

  Subscriber& subscriber_;
};

inline Subscriber::EventRange Subscriber::Events() { return EventRange(*this); }

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_SUBSCRIBER_H_
