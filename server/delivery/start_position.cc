#include "server/delivery/start_position.h"

#include "absl/types/optional.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"

namespace hookgate {

// The head is taken before the log is asked: an event that comes in between is not skipped.
absl::StatusOr<Sequence> StartAtTime(const google::protobuf::Timestamp& time,
                                     absl::string_view field, EventLog& log) {
  ASSIGN_OR_RETURN(const absl::Time start, FromProto(time, field));
  const Sequence head = log.Position().head;
  ASSIGN_OR_RETURN(const absl::optional<Sequence> first, log.FirstAtOrAfter(start));
  return first.has_value() ? *first - 1 : head;
}

absl::StatusOr<Sequence> StartAtPosition(hookgate::v1::StartPosition position,
                                         absl::string_view field, const EventLog& log) {
  switch (position) {
    case hookgate::v1::START_POSITION_EARLIEST:
      return log.Position().earliest - 1;
    case hookgate::v1::START_POSITION_LATEST:
      return log.Position().head;
    default:
      return InvalidField(field, "must be START_POSITION_EARLIEST or START_POSITION_LATEST");
  }
}

}  // namespace hookgate
