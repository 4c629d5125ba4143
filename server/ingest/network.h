// IP addresses and networks, as an operator writes them and as connections have them.
//
// Pure. An IPv4 address and the same one mapped into IPv6 (::ffff:192.0.2.1) are equal: a socket
// that listens on IPv6 shows IPv4 peers so (RFC 4291, section 2.5.5.2). Apart from that the two
// kinds are worlds of their own, as in other programs' lists of networks: ::/0 holds no IPv4
// address, and whoever opens a door to all of IPv6 has not opened it to IPv4.
#ifndef HOOKGATE_SERVER_INGEST_NETWORK_H_
#define HOOKGATE_SERVER_INGEST_NETWORK_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace hookgate {

class IpAddress {
 public:
  // "192.0.2.1" or "2001:db8::1"; nullopt if it is neither. No port, no brackets, no zone.
  static absl::optional<IpAddress> Parse(absl::string_view text);

  std::string ToString() const;
  bool operator==(const IpAddress& other) const { return bytes_ == other.bytes_; }

 private:
  friend class Network;
  IpAddress() = default;

  // Whether it is one, or one that is mapped.
  bool is_v4() const;
  // The first address of its network of so many bits, of 128.
  IpAddress First(int bits) const;

  std::array<uint8_t, 16> bytes_ = {};  // IPv4 is mapped into IPv6
};

class Network {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or an address, which is a network of its own.
  // INVALID_ARGUMENT that says what would be right, also if bits are set beyond the prefix: whoever
  // wrote 192.0.2.7/24 may have meant either.
  static absl::StatusOr<Network> Parse(absl::string_view text);

  bool Contains(const IpAddress& address) const;
  // Whether `networks` together contain every address of it.
  bool IsCoveredBy(const std::vector<Network>& networks) const;
  // As it was written.
  const std::string& text() const { return text_; }

 private:
  Network(const IpAddress& first, int prefix_bits, std::string text)
      : first_(first), prefix_bits_(prefix_bits), text_(std::move(text)) {}

  bool is_v4() const;
  // Whether it contains every address of `other`.
  bool Covers(const Network& other) const;

  IpAddress first_;
  int prefix_bits_;  // of 128
  std::string text_;
};

bool IsInAny(const std::vector<Network>& networks, const IpAddress& address);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_NETWORK_H_
