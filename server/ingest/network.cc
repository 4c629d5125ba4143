#include "server/ingest/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr int kAllBits = 128;
constexpr int kV4Offset = 12;  // bytes before an IPv4 address that is mapped into IPv6
constexpr std::array<uint8_t, kV4Offset> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

absl::optional<IpAddress> IpAddress::Parse(absl::string_view text) {
  const std::string terminated(text);
  // inet_pton reads up to a null character, whatever comes after.
  if (terminated.find('\0') != std::string::npos) return absl::nullopt;
  IpAddress address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes_.data()) == 1) return address;
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bytes_.begin());
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes_.data() + kV4Offset) == 1) {
    return address;
  }
  return absl::nullopt;
}

bool IpAddress::is_v4() const {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes_.begin());
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  const char* const written =
      is_v4() ? inet_ntop(AF_INET, bytes_.data() + kV4Offset, text, sizeof(text))
              : inet_ntop(AF_INET6, bytes_.data(), text, sizeof(text));
  return written == nullptr ? "" : written;
}

IpAddress IpAddress::First(int bits) const {
  IpAddress first = *this;
  for (int bit = bits; bit < kAllBits; ++bit) {
    first.bytes_[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  }
  return first;
}

absl::StatusOr<Network> Network::Parse(absl::string_view text) {
  const size_t slash = text.find('/');
  const absl::optional<IpAddress> address = IpAddress::Parse(text.substr(0, slash));
  if (!address.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text,
        "\" is not a network; write for example 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1"));
  }
  if (slash == absl::string_view::npos) return Network(*address, kAllBits, std::string(text));
  // Written as IPv4, it is counted as IPv4.
  const bool v4 = text.find(':') == absl::string_view::npos;
  const int most = v4 ? 32 : kAllBits;
  const absl::string_view digits = text.substr(slash + 1);
  int bits = 0;
  if (digits.empty() || digits.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(digits, &bits) || bits > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" has no prefix length from 0 to ", most, " after its \"/\""));
  }
  const int prefix_bits = kAllBits - most + bits;
  const IpAddress first = address->First(prefix_bits);
  if (!(first == *address)) {
    // An IPv4 address that was written as a mapped one is shown as what it is.
    const int shown_bits = first.is_v4() ? prefix_bits - kV4Offset * 8 : prefix_bits;
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", text, "\" names an address within its network; write ", first.ToString(), "/",
        shown_bits, " for the network, or ", address->ToString(), " for the address"));
  }
  return Network(first, prefix_bits, std::string(text));
}

bool Network::is_v4() const { return prefix_bits_ >= kV4Offset * 8 && first_.is_v4(); }

bool Network::Contains(const IpAddress& address) const {
  return address.is_v4() == is_v4() && address.First(prefix_bits_) == first_;
}

bool Network::Covers(const Network& other) const {
  return other.is_v4() == is_v4() && prefix_bits_ <= other.prefix_bits_ &&
         other.first_.First(prefix_bits_) == first_;
}

bool Network::IsCoveredBy(const std::vector<Network>& networks) const {
  bool is_touched = false;
  for (const Network& network : networks) {
    if (network.Covers(*this)) return true;
    is_touched = is_touched || Covers(network);
  }
  // None of both halves can be covered by networks that are not within it.
  if (!is_touched) return false;
  const int bits = prefix_bits_ + 1;
  IpAddress second = first_;
  second.bytes_[static_cast<size_t>(prefix_bits_ / 8)] |=
      static_cast<uint8_t>(0x80 >> prefix_bits_ % 8);
  return Network(first_, bits, text_).IsCoveredBy(networks) &&
         Network(second, bits, text_).IsCoveredBy(networks);
}

bool IsInAny(const std::vector<Network>& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& network) { return network.Contains(address); });
}

}  // namespace hookgate
