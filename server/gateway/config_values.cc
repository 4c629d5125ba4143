#include "server/gateway/config_values.h"

#include "server/base/proto_time.h"

namespace hookgate {

absl::Status SetDuration(bool is_set, const google::protobuf::Duration& value,
                         absl::string_view key, absl::Duration min, absl::Duration max,
                         absl::Duration& option) {
  if (!is_set) return absl::OkStatus();
  ASSIGN_OR_RETURN(const absl::Duration duration, FromProto(value, key));
  if (duration < min || duration > max) {
    return InvalidField(key,
                        absl::StrCat("is ", absl::FormatDuration(duration), "; it must be from ",
                                     absl::FormatDuration(min), " to ", absl::FormatDuration(max)));
  }
  option = duration;
  return absl::OkStatus();
}

}  // namespace hookgate
