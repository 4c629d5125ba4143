// Bounds how often a peer does what costs the server something and it nothing: frames that carry
// nothing, calls that are reset. A token bucket that what the peer is served adds to, since honest
// clients answer what they are sent: gRPC C++ sends WINDOW_UPDATE and PING for each DATA frame.
// Pure: the time is an argument. Not thread-safe.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_FRAME_LIMITER_H_
#define HOOKGATE_SERVER_GRPC_SERVER_FRAME_LIMITER_H_

#include <cstdint>

#include "absl/time/time.h"

namespace hookgate {

class FrameLimiter {
 public:
  // Starts full. `now` is monotonic time.
  FrameLimiter(int burst, int per_second, absl::Duration now);

  // The peer has done it once more. False if that is too often.
  bool Take(absl::Duration now);
  // It may do so `count` times more. Adds up to `burst` beyond what the bucket holds when full.
  void Earn(int count);
  // Whether the bucket is full, or lacks a tenth at most. An honest peer's does: by much more than
  // that it has done without being served.
  bool IsNearlyFull(absl::Duration now);
  // Whether it has half of the burst or more.
  bool IsHalfFull(absl::Duration now);

 private:
  bool Holds(int64_t tokens, absl::Duration now);
  void Fill(absl::Duration now);

  int64_t burst_;
  int64_t per_second_;
  int64_t tokens_;  // without those of the time since filled_at_ns_
  int64_t filled_at_ns_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_FRAME_LIMITER_H_
