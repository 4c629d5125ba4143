#include "server/config/config_values.h"

#include "server/base/host_port.h"
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

absl::Status SetAddress(const std::string& value, absl::string_view key,
                        absl::string_view default_value, std::string& option) {
  option = value.empty() ? std::string(default_value) : value;
  if (ParseHostPort(option).has_value()) return absl::OkStatus();
  return InvalidField(key, absl::StrCat("\"", option, "\" is not a HOST:PORT; use for example ",
                                        default_value, ", or [::1]:8080 for IPv6"));
}

std::vector<Network> ResolveNetworks(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                     const std::string& key, Problems& problems) {
  std::vector<Network> networks;
  for (int i = 0; i < texts.size(); ++i) {
    absl::StatusOr<Network> network = Network::Parse(texts[i]);
    if (network.ok()) {
      networks.push_back(*network);
    } else {
      problems.AddError(absl::StrCat(key, "[", i, "]"), network.status().message());
    }
  }
  return networks;
}

}  // namespace hookgate
