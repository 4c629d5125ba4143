#include "server/grpc_server/timeout.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace hookgate {
namespace {

constexpr size_t kMaxDigits = 8;

absl::optional<absl::Duration> UnitOf(char letter) {
  switch (letter) {
    case 'H':
      return absl::Hours(1);
    case 'M':
      return absl::Minutes(1);
    case 'S':
      return absl::Seconds(1);
    case 'm':
      return absl::Milliseconds(1);
    case 'u':
      return absl::Microseconds(1);
    case 'n':
      return absl::Nanoseconds(1);
    default:
      return absl::nullopt;
  }
}

}  // namespace

absl::optional<absl::Duration> ParseGrpcTimeout(absl::string_view text) {
  if (text.size() < 2 || text.size() > kMaxDigits + 1) return absl::nullopt;
  int64_t count = 0;
  for (const char digit : text.substr(0, text.size() - 1)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(digit))) return absl::nullopt;
    count = count * 10 + (digit - '0');
  }
  const absl::optional<absl::Duration> unit = UnitOf(text.back());
  if (!unit.has_value()) return absl::nullopt;
  return count * *unit;
}

}  // namespace hookgate
