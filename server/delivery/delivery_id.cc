#include "server/delivery/delivery_id.h"

#include <array>
#include <charconv>

#include "absl/strings/str_cat.h"

namespace hookgate {

std::string FormatDeliveryId(int64_t subscription, const DeliveryId& id) {
  return absl::StrCat(subscription, ".", id.sequence, ".", id.number);
}

// What it reads must be what Format writes, byte for byte.
absl::optional<DeliveryId> ParseDeliveryId(absl::string_view text, int64_t subscription) {
  std::array<int64_t, 3> parts = {};
  const char* at = text.data();
  const char* const end = at + text.size();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) {
      if (at == end || *at != '.') return absl::nullopt;
      ++at;
    }
    const auto [next, error] = std::from_chars(at, end, parts[i]);
    if (error != std::errc()) return absl::nullopt;
    at = next;
  }
  const DeliveryId id = {parts[1], parts[2]};
  if (parts[0] != subscription || text != FormatDeliveryId(subscription, id)) return absl::nullopt;
  return id;
}

}  // namespace hookgate
