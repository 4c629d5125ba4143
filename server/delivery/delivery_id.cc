#include "server/delivery/delivery_id.h"

#include <array>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "server/delivery/cursor.h"

namespace hookgate {

namespace {

std::string WithoutMark(int64_t subscription, const DeliveryId& id) {
  return absl::StrCat(subscription, ".", id.sequence, ".", id.number);
}

}  // namespace

std::string FormatDeliveryId(const DeliveryIds& ids, const DeliveryId& id) {
  char mark[kMarkBytes];
  FormatMarkTo(mark, ids.numbers.MarkAt(id.number));
  return absl::StrCat(WithoutMark(ids.subscription, id), ".", absl::string_view(mark, kMarkBytes));
}

// What it reads must be what Format writes, byte for byte.
absl::optional<DeliveryId> ParseDeliveryId(absl::string_view text, const DeliveryIds& ids) {
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
  const bool given =
      at == end ? ids.numbers.MarkAt(id.number) == 0 && text == WithoutMark(ids.subscription, id)
                : text == FormatDeliveryId(ids, id);
  if (!given) return absl::nullopt;
  return id;
}

}  // namespace hookgate
