// Values of the config, each with the bounds that its key has. Pure.
#ifndef HOOKGATE_SERVER_CONFIG_CONFIG_VALUES_H_
#define HOOKGATE_SERVER_CONFIG_CONFIG_VALUES_H_

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/repeated_field.h"
#include "server/base/status.h"
#include "server/config/problems.h"
#include "server/ingest/network.h"

namespace hookgate {

// The source that there is when the config names none.
inline constexpr char kDefaultSource[] = "openai";

inline constexpr absl::Duration kForever = absl::Hours(24 * 365 * 100);

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

// "" takes `default_value`.
absl::Status SetAddress(const std::string& value, absl::string_view key,
                        absl::string_view default_value, std::string& option);

// Those that are networks, such as 10.0.0.0/8; of the others a problem is added, each with its key
// and number.
std::vector<Network> ResolveNetworks(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                     const std::string& key, Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_CONFIG_VALUES_H_
