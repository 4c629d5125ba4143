// What one Subscribe call sends next. Decides, and knows neither gRPC nor threads: SubscribeStream
// carries out what it says.
//
//   1. Opened, once.
//   2. EventBatch while there is something after the position that matches: from the tail, or when
//   the
//      position is no longer in it, from the log.
//   3. CaughtUp when the position has reached the head, unless the session was caught up already.
//   4. Heartbeat when nothing was sent for the interval, also while 2 looks through much that does
//   not match.
//   5. Draining once asked to, between frames; then the end.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/base/clock.h"
#include "server/delivery/event_filter.h"
#include "server/delivery/tail.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

struct SubscribeSettings {
  EventFilter filter;
  Sequence start_after = 0;
  absl::Duration heartbeat_interval = absl::Seconds(15);
  bool include_raw_body = false;

  // The settings that a request asks for. Reads the log if the request starts at a time.
  // Errors: those that EventService.Subscribe names in event_service.proto.
  static absl::StatusOr<SubscribeSettings> FromRequest(
      const hookgate::v1::SubscribeRequest& request, EventLog& log);
};

// Not thread-safe: one thread at a time.
class SubscribeSession {
 public:
  // `tail`, `log` and `clock` outlive the session.
  SubscribeSession(SubscribeSettings settings, const Tail& tail, EventLog& log, const Clock& clock);

  struct Step {
    enum class Action {
      kWrite,    // send `frame`, a serialised SubscribeResponse, and when that is done ask for the
                 // Next
      kReadLog,  // call ReadLog where blocking is allowed, then ask for the Next
      kWait,     // nothing is due before the head is beyond `seen` or the monotonic clock at
                 // `deadline`
      kEnd,      // end the call with `status`
    };
    Action action;
    std::string frame;
    Sequence seen = 0;
    absl::Duration deadline;
    absl::Status status;
  };
  // Never blocks.
  Step Next();

  // Reads one page from disk.
  void ReadLog();

  // From now on Next says goodbye: the frame Draining with `reconnect_delay`, then kEnd
  // UNAVAILABLE.
  void Drain(absl::Duration reconnect_delay);

  // The position: everything up to here was sent or did not match.
  Sequence position() const { return position_; }

 private:
  Step Write(const hookgate::v1::SubscribeResponse& response);
  Step WriteBatch(std::string elements);
  Step Opened();
  Step CaughtUp(Sequence head);
  Step Heartbeat();
  Step Goodbye();
  bool HeartbeatIsDue() const;
  std::string CursorHere() const;
  // Collects what is due from `events`, moving the position over them.
  std::string Encode(const std::vector<LogEventPtr>& events, bool filter_them);

  // Constant after construction.
  const SubscribeSettings settings_;
  const Tail& tail_;  // Does its own locking.
  EventLog& log_;     // Does its own locking.
  const Clock& clock_;

  Sequence position_;
  bool opened_ = false;
  bool caught_up_ = false;
  absl::Duration last_write_;     // on the monotonic clock
  absl::optional<LogPage> page_;  // read from disk, not sent yet
  absl::Status read_error_;
  absl::optional<absl::Duration> drain_delay_;
  bool said_goodbye_ = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIBE_SESSION_H_
