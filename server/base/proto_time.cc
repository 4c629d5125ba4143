#include "server/base/proto_time.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "google/protobuf/util/time_util.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kNanosPerSecond = 1'000'000'000;
constexpr int64_t kMicrosPerSecond = 1'000'000;

// TimeUtil ends the process over a value that its type does not allow. A damaged row of the log may
// hold any.
int64_t Clamped(int64_t micros, int64_t min_seconds, int64_t max_seconds) {
  return std::clamp(micros, min_seconds * kMicrosPerSecond, max_seconds * kMicrosPerSecond);
}

}  // namespace

google::protobuf::Timestamp ToProto(absl::Time time) {
  return TimeUtil::MicrosecondsToTimestamp(Clamped(
      absl::ToUnixMicros(time), TimeUtil::kTimestampMinSeconds, TimeUtil::kTimestampMaxSeconds));
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  return TimeUtil::MicrosecondsToDuration(Clamped(absl::ToInt64Microseconds(duration),
                                                  TimeUtil::kDurationMinSeconds,
                                                  TimeUtil::kDurationMaxSeconds));
}

absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time,
                                     absl::string_view path) {
  if (time.seconds() < TimeUtil::kTimestampMinSeconds ||
      time.seconds() > TimeUtil::kTimestampMaxSeconds || time.nanos() < 0 ||
      time.nanos() >= kNanosPerSecond) {
    return InvalidField(path, "must lie in the years 1 to 9999, with nanos from 0 to 999999999");
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::StatusOr<absl::Duration> FromProto(const google::protobuf::Duration& duration,
                                         absl::string_view path) {
  const bool signs_differ = (duration.seconds() > 0 && duration.nanos() < 0) ||
                            (duration.seconds() < 0 && duration.nanos() > 0);
  if (duration.seconds() < TimeUtil::kDurationMinSeconds ||
      duration.seconds() > TimeUtil::kDurationMaxSeconds ||
      std::abs(static_cast<int64_t>(duration.nanos())) >= kNanosPerSecond || signs_differ) {
    return InvalidField(path, "is not a valid duration: its seconds and nanos are out of range");
  }
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

}  // namespace hookgate
