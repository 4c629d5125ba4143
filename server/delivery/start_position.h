// The places from which reading can begin, other than a cursor.
#ifndef HOOKGATE_SERVER_DELIVERY_START_POSITION_H_
#define HOOKGATE_SERVER_DELIVERY_START_POSITION_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/timestamp.pb.h"
#include "hookgate/v1/event_service.pb.h"
#include "server/delivery/cursor.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Each returns the sequence after which to read. `field` is the name for errors (InvalidField).

// Reads the log.
absl::StatusOr<Sequence> StartAtTime(const google::protobuf::Timestamp& time,
                                     absl::string_view field, EventLog& log);

absl::StatusOr<Sequence> StartAtPosition(hookgate::v1::StartPosition position,
                                         absl::string_view field, const EventLog& log);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_START_POSITION_H_
