// How long a connection may stay in the phase that it is in, and when to look at that again.
//
// Pure: it is told what time it is (Clock::MonotonicNow), and drives no timer. A timer that moved
// with each phase would cost more than the request that passes through it. So the timer is set
// again only for an earlier moment; if it fires too early, it is set for what is left.
//
//   deadline.Begin(now, limit);
//   if (const auto at = deadline.TimerMoment(); at.has_value()) SetTimer(*at);
//   on timer:  if (deadline.OnTimer(now)) Cancel();
//              if (const auto at = deadline.TimerMoment(); at.has_value()) SetTimer(*at);
#ifndef HOOKGATE_SERVER_HTTP_SESSION_DEADLINE_H_
#define HOOKGATE_SERVER_HTTP_SESSION_DEADLINE_H_

#include <algorithm>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

// Belongs to one thread.
class SessionDeadline {
 public:
  // After this OnTimer says again that time is up, until the next phase begins: a read that ended
  // just before it was cancelled is followed by the next read of its phase.
  static constexpr absl::Duration kAgain = absl::Milliseconds(20);

  // A phase begins that may take `limit`.
  void Begin(absl::Duration now, absl::Duration limit) {
    expired_ = false;
    at_ = now + limit;
  }
  // The phase that runs may take no more than `limit` from now.
  void Shorten(absl::Duration now, absl::Duration limit) { at_ = std::min(at_, now + limit); }

  // Whether the phase that runs has had its time.
  bool expired() const { return expired_; }

  // The moment for which the timer has to be set now, instead of the one it may be set for; nullopt
  // if it can stay as it is. Once this has returned a moment, it takes the timer for set.
  absl::optional<absl::Duration> TimerMoment() {
    if (at_ >= timer_) return absl::nullopt;
    timer_ = at_;
    return timer_;
  }

  // The timer has fired. Whether time is up: then cancel what the phase waits for.
  bool OnTimer(absl::Duration now) {
    timer_ = absl::InfiniteDuration();
    if (now < at_) return false;
    expired_ = true;
    at_ = now + kAgain;
    return true;
  }

 private:
  absl::Duration at_ = absl::InfiniteDuration();     // the end of the phase's time
  absl::Duration timer_ = absl::InfiniteDuration();  // infinite: the timer is not set
  bool expired_ = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_SESSION_DEADLINE_H_
