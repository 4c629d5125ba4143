// Bounds how much of a thread's time one kind of work gets, so that the rest of the time is left
// for others however much of that work there is. Pure: the time is an argument. Not thread-safe.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TIME_SHARE_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TIME_SHARE_H_

#include "absl/time/time.h"

namespace hookgate {

class TimeShare {
 public:
  // What a work that was interrupted counts at most, in bursts. The time of a thread that had to
  // wait for its core is not work, and a machine that was suspended for an hour must not hold the
  // next work up for hours.
  static constexpr int kMaxDebtInBursts = 10;

  //   share  of all time, more than 0 and at most 1
  //   burst  of work that may be done at once after a pause
  //   now    monotonic time
  TimeShare(double share, absl::Duration burst, absl::Duration now);

  // Whether work may begin now: less than its share of the time has been spent.
  bool MayBegin(absl::Duration now);
  // Work has taken `time`; more than was left postpones the next.
  void Spend(absl::Duration time);
  // When MayBegin will hold, if nothing more is spent.
  absl::Duration next() const;

 private:
  const double share_;
  const absl::Duration burst_;
  absl::Duration left_;  // of work, at counted_at_
  absl::Duration counted_at_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TIME_SHARE_H_
