// Values of the config, each with the bounds that its key has. Pure.
#ifndef HOOKGATE_SERVER_GATEWAY_CONFIG_VALUES_H_
#define HOOKGATE_SERVER_GATEWAY_CONFIG_VALUES_H_

#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "server/base/status.h"

namespace hookgate {

// Each of these takes a config value (0 or unset: keep the default) into `option`, or leaves it and
// says in INVALID_ARGUMENT which key is wrong and what would be right.

absl::Status SetNumberFrom(int64_t min, int64_t value, absl::string_view key, int64_t max,
                           auto& option) {
  if (value == 0) return absl::OkStatus();
  if (value < min || value > max) {
    return InvalidField(key, absl::StrCat("is ", value, "; it must be from ", min, " to ", max));
  }
  option = static_cast<std::remove_reference_t<decltype(option)>>(value);
  return absl::OkStatus();
}

absl::Status SetNumber(int64_t value, absl::string_view key, int64_t max, auto& option) {
  return SetNumberFrom(1, value, key, max, option);
}

absl::Status SetDuration(bool is_set, const google::protobuf::Duration& value,
                         absl::string_view key, absl::Duration min, absl::Duration max,
                         absl::Duration& option);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_CONFIG_VALUES_H_
