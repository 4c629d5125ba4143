#include "server/base/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace hookgate {
namespace {

// A host by number where it is one, so that one host has one spelling. Without brackets.
std::string Normalized(const std::string& host) {
  if (host == "localhost") return "127.0.0.1";
  if (!absl::StartsWith(host, "[")) return host;
  const std::string v6 = host.substr(1, host.size() - 2);
  in6_addr bytes;
  char text[INET6_ADDRSTRLEN];
  if (inet_pton(AF_INET6, v6.c_str(), &bytes) != 1) return v6;
  return inet_ntop(AF_INET6, &bytes, text, sizeof(text));
}

}  // namespace

std::string HostPort::bare_host() const {
  return absl::StartsWith(host, "[") ? host.substr(1, host.size() - 2) : host;
}

bool HostPort::is_loopback() const {
  in_addr v4;
  const bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4) == 1;
  return host == "localhost" || host == "[::1]" ||
         (is_v4 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

absl::optional<HostPort> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return absl::nullopt;
  const absl::string_view host = text.substr(0, colon);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  const absl::string_view name = bracketed ? host.substr(1, host.size() - 2) : host;
  if (name.empty() || name.find_first_of(bracketed ? "[]" : ":[]") != absl::string_view::npos) {
    return absl::nullopt;
  }
  const absl::string_view digits = text.substr(colon + 1);
  int port = 0;
  if (!std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ||
      !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return absl::nullopt;
  }
  return HostPort{std::string(host), port};
}

bool Collide(const HostPort& one, const HostPort& other) {
  if (one.port != other.port || one.port == 0) return false;
  const std::string a = Normalized(one.host);
  const std::string b = Normalized(other.host);
  const auto is_v6 = [](const std::string& text) { return absl::StrContains(text, ':'); };
  // [::] takes IPv4 as well.
  const auto covers = [&](const std::string& all, const std::string& single) {
    return all == "::" || (all == "0.0.0.0" && !is_v6(single));
  };
  return a == b || covers(a, b) || covers(b, a);
}

}  // namespace hookgate
