// absl::Time and absl::Duration as the well-known protobuf types, and back.
#ifndef HOOKGATE_SERVER_BASE_PROTO_TIME_H_
#define HOOKGATE_SERVER_BASE_PROTO_TIME_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace hookgate {

// In whole microseconds, as the log keeps times; rounded down.
google::protobuf::Timestamp ToProto(absl::Time time);
google::protobuf::Duration ToProto(absl::Duration duration);

// Errors: InvalidField about the field at `path`, if the value is not one that the type allows.
absl::StatusOr<absl::Time> FromProto(const google::protobuf::Timestamp& time,
                                     absl::string_view path);
absl::StatusOr<absl::Duration> FromProto(const google::protobuf::Duration& duration,
                                         absl::string_view path);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_PROTO_TIME_H_
