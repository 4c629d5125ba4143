// How code that decides by time asks what time it is. It takes a Clock& at construction, so that a
// test can move time by hand (tests/support/fake_clock.h). Timers and waits that a library makes
// (Asio's timers, gRPC's deadlines, waiting on a condition) use the machine's own clocks; so does
// the stamp of a log line.
#ifndef HOOKGATE_COMMON_CLOCK_H_
#define HOOKGATE_COMMON_CLOCK_H_

#include "absl/time/time.h"

namespace hookgate {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // For stamps that others read. May jump, also back.
  virtual absl::Time WallNow() const = 0;

  // For deadlines and intervals: time since a fixed, unknown moment. Never goes back.
  virtual absl::Duration MonotonicNow() const = 0;
};

// The machine's clocks. Lives for ever.
const Clock& SystemClock();

}  // namespace hookgate

#endif  // HOOKGATE_COMMON_CLOCK_H_
