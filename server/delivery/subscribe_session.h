// What one Subscribe call sends next. Decides, and knows neither gRPC nor threads: SubscribeStream
// carries out what it says.
//
//   1. Opened, once.
//   2. EventBatch while there is something after the position that matches, from a BatchSource,
//      which streams share.
//   3. CaughtUp when the position has reached the head, unless the session was caught up already.
//   4. Heartbeat when nothing was sent for the interval, also while 2 looks through much that does
//   not match, or waits for the disk.
//   5. Draining once asked to, between frames; then the end.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/delivery/batch_frame.h"
#include "server/delivery/batch_source.h"
#include "server/delivery/selection.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

struct SubscribeSettings {
  SelectionPtr selection;
  Sequence start_after = 0;
  absl::Duration heartbeat_interval = absl::Seconds(15);

  // Whether a request asks for what can be, as far as that is known without the log. Errors as of
  // FromRequest.
  static absl::Status Check(const hookgate::v1::SubscribeRequest& request);
  // The settings that a request asks for. Reads the log if the request starts at a time.
  // Errors: those that EventService.Subscribe names in event_service.proto.
  static absl::StatusOr<SubscribeSettings> FromRequest(
      const hookgate::v1::SubscribeRequest& request, SelectionPool& selections, EventLog& log);
};

// Not thread-safe: one thread at a time.
class SubscribeSession {
 public:
  // `batches`, `log` and `clock` outlive the session.
  SubscribeSession(const SubscribeSettings& settings, BatchSource& batches, EventLog& log,
                   const Clock& clock);

  struct Step {
    enum class Action {
      kWrite,    // send `frame`, a serialised SubscribeResponse, and when that is done ask for the
                 // Next
      kReadLog,  // call AwaitLog, then ask for the Next
      kPause,    // there is little after `seen`, or nothing: ask for the Next in HeadWatch's next
                 // round in which the head is beyond that, at the latest when the monotonic clock
                 // is at `deadline`
      kWait,     // nothing is due before the head is beyond `seen`, the monotonic clock at
                 // `deadline`, or what AwaitLog asked for has been read
      kEnd,      // end the call with `status`
    };
    Action action;
    std::shared_ptr<const std::string> frame;
    int64_t events = 0;  // in `frame`
    Sequence seen = 0;
    absl::Duration deadline;
    absl::Status status;
  };
  // Never blocks.
  Step Next();

  // Has `done` called once, on any thread, with the batch that Next wants: give it to TakeRead.
  // Until then Next says what is to be done meanwhile, such as a heartbeat. True: the caller has to
  // have the batch after position() read, where blocking is allowed (BatchSource::Read). False:
  // another stream reads the same.
  bool AwaitLog(BatchSource::Done done);
  void TakeRead(absl::StatusOr<BatchFramePtr> read);

  // From now on Next says goodbye: the frame Draining with `reconnect_delay`, then kEnd
  // UNAVAILABLE.
  void Drain(absl::Duration reconnect_delay);
  // How a stream ends that has said goodbye, or had nothing to say yet.
  static absl::Status GoodbyeError();

  const SelectionPtr& selection() const { return selection_; }
  // Whether what comes next is being read from the disk.
  bool reading() const { return reading_; }
  // The position: everything up to here was sent or did not match.
  Sequence position() const { return position_; }
  // The client was told so, and nothing had to be read from the disk since.
  bool caught_up() const { return caught_up_; }
  absl::Duration heartbeat_interval() const { return heartbeat_interval_; }

 private:
  Step Write(const hookgate::v1::SubscribeResponse& response);
  Step Rest(Step::Action action, Sequence seen);
  Step Opened();
  Step CaughtUp(Sequence head);
  Step Heartbeat();
  Step Goodbye();
  bool HeartbeatIsDue() const;
  std::string CursorHere() const;
  // Moves the position over `batch`, and sends it if anything in it matched.
  absl::optional<Step> Take(BatchFramePtr batch);

  // Constant after construction.
  const SelectionPtr selection_;
  const absl::Duration heartbeat_interval_;
  BatchSource& batches_;  // Does its own locking.
  EventLog& log_;         // Does its own locking.
  const Clock& clock_;

  // There may be ten thousand sessions: what most of them do not have is small while it is not
  // there.
  Sequence position_;
  absl::Duration last_write_;                            // on the monotonic clock
  std::unique_ptr<absl::StatusOr<BatchFramePtr>> read_;  // what AwaitLog came to; null once sent
  std::unique_ptr<const absl::Duration> drain_delay_;    // null: it goes on
  bool opened_ : 1 = false;
  bool caught_up_ : 1 = false;
  bool may_send_little_ : 1 = true;  // no batch that is not full was sent since the last wait
  bool reading_ : 1 = false;         // AwaitLog was called, and TakeRead was not
  bool said_goodbye_ : 1 = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_
