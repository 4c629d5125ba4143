#include "server/ingest/client_address.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace hookgate {
namespace {

// Entries of X-Forwarded-For, the last one first. Several fields are one list (RFC 9110, 5.3).
std::vector<std::string> ForwardedFor(const HttpHead& head) {
  std::vector<std::string> entries;
  head.ForEachField([&entries](absl::string_view name, absl::string_view value) {
    if (!absl::EqualsIgnoreCase(name, "x-forwarded-for")) return;
    for (const absl::string_view entry : absl::StrSplit(value, ',')) {
      entries.emplace_back(absl::StripAsciiWhitespace(entry));
    }
  });
  std::reverse(entries.begin(), entries.end());
  return entries;
}

// "192.0.2.1:4711", "[2001:db8::1]:4711" and "[2001:db8::1]" as well: some proxies write so.
absl::optional<IpAddress> ParseEntry(absl::string_view entry) {
  if (absl::StartsWith(entry, "[")) {
    const size_t end = entry.find(']');
    if (end == absl::string_view::npos) return absl::nullopt;
    const absl::string_view rest = entry.substr(end + 1);
    if (!rest.empty() && rest[0] != ':') return absl::nullopt;
    return IpAddress::Parse(entry.substr(1, end - 1));
  }
  const size_t colon = entry.find(':');
  const bool one_colon = colon != absl::string_view::npos && colon == entry.rfind(':');
  return IpAddress::Parse(one_colon ? entry.substr(0, colon) : entry);
}

}  // namespace

absl::optional<IpAddress> ClientAddress(const HttpHead& head,
                                        const std::vector<Network>& trusted_proxies) {
  // Without the zone that a link-local one has: which interface it came by, no network says.
  const absl::string_view peer = head.peer();
  absl::optional<IpAddress> client = IpAddress::Parse(peer.substr(0, peer.find('%')));
  if (!client.has_value() || !IsInAny(trusted_proxies, *client)) return client;
  for (const std::string& entry : ForwardedFor(head)) {
    client = ParseEntry(entry);
    if (!client.has_value() || !IsInAny(trusted_proxies, *client)) return client;
  }
  return client;
}

}  // namespace hookgate
