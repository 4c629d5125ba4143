// Between Abseil's times and protobuf's. Pure.
#ifndef HOOKGATE_CLIENT_PROTO_TIME_H_
#define HOOKGATE_CLIENT_PROTO_TIME_H_

#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace hookgate {

absl::Time FromProto(const google::protobuf::Timestamp& time);
absl::Duration FromProto(const google::protobuf::Duration& duration);

// Rounds down to nanoseconds.
google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_PROTO_TIME_H_
