// What one Consume call sends next, and whether its client is read from. Decides, and knows neither
// gRPC nor threads nor the subscription: ConsumeStream carries out what it says.
//
//   1. Opened, once, when the consumer is attached; then a Heartbeat at once if something holds
//      deliveries back, so that nobody waits for an interval to learn that nothing will come.
//   2. AckResults, as soon as there are some; then Deliveries; both as they come.
//   3. Heartbeat when nothing was sent for the interval.
//   4. The end: results of all that was read before, then Draining if the gateway goes down, then
//      the status. Deliveries that were not sent are not sent any more.
//
// One frame of the client is read at a time, and none while kMaxUnanswered items of acks are
// unanswered: so what a client makes the gateway hold is bounded, whether it reads or not.
#ifndef HOOKGATE_SERVER_DELIVERY_CONSUME_SESSION_H_
#define HOOKGATE_SERVER_DELIVERY_CONSUME_SESSION_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "common/clock.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/subscription_state.h"

namespace hookgate {

struct ConsumeSettings {
  ConsumerLimits limits;
  absl::Duration heartbeat_interval = absl::Seconds(15);
  bool include_raw_body = false;

  // The settings that Open asks for. Its names are for others to check.
  // INVALID_ARGUMENT invalid_request that names the field.
  static absl::StatusOr<ConsumeSettings> FromRequest(
      const hookgate::v1::ConsumeRequest::Open& open);
  // What a Flow frame asks for. A frame of a stream that works is moved into its range, rather than
  // end the stream.
  static ConsumerLimits ClampedLimits(const hookgate::v1::FlowLimits& flow);
};

// Not thread-safe: one thread at a time.
class ConsumeSession {
 public:
  // Items of acks that a client may have unanswered before it is no longer read from.
  static constexpr int64_t kMaxUnanswered = 10'000;

  // `clock` outlives the session.
  explicit ConsumeSession(const Clock& clock) : clock_(clock) {}

  struct Step {
    enum class Action {
      kWrite,      // send `frame`, a serialised ConsumeResponse
      kHeartbeat,  // send a Heartbeat, which says how the subscription is now
      kWait,       // nothing is due before the monotonic clock is at `deadline`, or the session
                   // is told something
      kEnd,        // end the call with `status`; said once
    };
    Action action;
    std::string frame;
    bool has_deliveries = false;  // of `frame`
    absl::Duration deadline;      // infinite: none
    absl::Status status;
  };
  // To be asked when a frame can go out.
  Step Next();
  // The status that the call ends with, if nothing is owed to the client before it; once. Next
  // says the same: this is for when no frame can go out.
  absl::optional<absl::Status> TakeEnd();

  // Whether the client is to be read from now. True: one frame is on its way from here on, until
  // Accept.
  bool TakeRead();
  // A frame has been read, perhaps after the end has begun. INVALID_ARGUMENT invalid_request if the
  // client may not send it: the first one is Open, none after it is, and none is empty.
  absl::Status Accept(const hookgate::v1::ConsumeRequest& request);

  // The consumer is attached.
  //   is_held_back  the subscription has conditions that a Heartbeat tells
  // False: the session has ended meanwhile, so that it has to be detached.
  bool Opened(const hookgate::v1::ConsumeResponse::Opened& opened,
              absl::Duration heartbeat_interval, bool is_held_back);
  // `items` of acks were read, and are being settled.
  void TakeItems(int64_t items) { unsettled_ += items; }
  // They are settled, with these results.
  void TakeResults(hookgate::v1::ConsumeResponse::AckResults results);
  // They could not be settled, and get no results.
  void DropItems(int64_t items) { unsettled_ -= items; }
  // A serialised ConsumeResponse of Deliveries; the one before has been sent. Forgotten if the
  // session is ending.
  void TakeDeliveries(std::string frame);

  // Each of these ends the session, unless it is ending already: then they return false, and change
  // nothing.
  bool End(const absl::Status& status);
  // With the frame Draining with `reconnect_delay` before, and UNAVAILABLE draining.
  bool Drain(absl::Duration reconnect_delay);

  // The client has gone: nothing more is sent. False: the end was said before.
  bool Abandon();

  // Nothing more is read or delivered.
  bool ending() const { return state_ >= State::kEnding; }

 private:
  enum class State {
    kStarting,  // Open has not come
    kOpening,   // Open has come; the consumer is being attached
    kOpen,
    kEnding,  // what is owed is sent, then `end_`
    kEnded,
  };

  Step Write(std::string frame, bool has_deliveries = false);
  bool HeartbeatIsDue() const;

  // Constant after construction.
  const Clock& clock_;

  State state_ = State::kStarting;
  bool reading_ = false;
  std::string opened_;  // these three: not sent yet; "" if there is none
  std::string deliveries_;
  std::string draining_;
  hookgate::v1::ConsumeResponse results_;  // not sent yet
  int64_t unsettled_ = 0;                  // items read whose results are not in results_
  absl::Duration heartbeat_interval_;
  bool heartbeat_at_once_ = false;
  absl::Duration last_write_;  // on the monotonic clock
  absl::Status end_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_CONSUME_SESSION_H_
