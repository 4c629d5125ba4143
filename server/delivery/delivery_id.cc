#include "server/delivery/delivery_id.h"

#include <array>
#include <charconv>

namespace hookgate {

namespace {

// "<subscription>.<sequence>.<number>". Returns the end.
char* FormatNumbersTo(char* buffer, int64_t subscription, const DeliveryId& id) {
  char* at = buffer;
  for (const int64_t number : {subscription, id.sequence, id.number}) {
    if (at != buffer) *at++ = '.';
    at = std::to_chars(at, buffer + kMaxDeliveryIdBytes, number).ptr;
  }
  return at;
}

}  // namespace

char* FormatDeliveryIdTo(char* buffer, const DeliveryIds& ids, const DeliveryId& id) {
  char* const at = FormatNumbersTo(buffer, ids.subscription, id);
  *at = '.';
  return FormatMarkTo(at + 1, ids.numbers.MarkAt(id.number));
}

std::string FormatDeliveryId(const DeliveryIds& ids, const DeliveryId& id) {
  char buffer[kMaxDeliveryIdBytes];
  return std::string(buffer, FormatDeliveryIdTo(buffer, ids, id));
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
  const bool has_mark = at != end;
  if (!has_mark && ids.numbers.MarkAt(id.number) != 0) return absl::nullopt;
  char buffer[kMaxDeliveryIdBytes];
  const char* const given = has_mark ? FormatDeliveryIdTo(buffer, ids, id)
                                     : FormatNumbersTo(buffer, ids.subscription, id);
  if (text != absl::string_view(buffer, static_cast<size_t>(given - buffer))) return absl::nullopt;
  return id;
}

}  // namespace hookgate
