#include "client/target.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hookgate {
namespace {

constexpr char kExample[] = "HOST:PORT, such as 127.0.0.1:50051 or gateway.example:50051";

absl::Status Wrong(absl::string_view why, absl::string_view right = kExample) {
  return absl::InvalidArgumentError(absl::StrCat(why, "; use ", right));
}

bool IsIpv6(absl::string_view text) {
  const std::string address(text.substr(0, text.find('%')));  // Without its zone.
  in6_addr parsed;
  return inet_pton(AF_INET6, address.c_str(), &parsed) == 1;
}

bool IsHostByte(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
}

absl::Status CheckPort(absl::string_view port) {
  int number = 0;
  const bool digits =
      std::all_of(port.begin(), port.end(), [](unsigned char c) { return absl::ascii_isdigit(c); });
  if (digits && absl::SimpleAtoi(port, &number) && number >= 1 && number <= 65535) {
    return absl::OkStatus();
  }
  return Wrong("its port is not a number from 1 to 65535");
}

absl::Status CheckBracketed(absl::string_view target) {
  const size_t close = target.find(']');
  if (close == absl::string_view::npos) return Wrong("its '[' is not closed", "[ADDRESS]:PORT");
  if (!IsIpv6(target.substr(1, close - 1))) {
    return Wrong("the text in brackets is not an IPv6 address");
  }
  absl::string_view rest = target.substr(close + 1);
  if (!absl::ConsumePrefix(&rest, ":")) {
    return Wrong("it has no port", absl::StrCat(target.substr(0, close + 1), ":50051"));
  }
  return CheckPort(rest);
}

absl::Status CheckHostAndPort(absl::string_view target) {
  if (absl::StartsWith(target, "[")) return CheckBracketed(target);
  if (std::count(target.begin(), target.end(), ':') > 1) {
    const size_t last = target.rfind(':');
    const absl::string_view before = target.substr(0, last);
    const absl::string_view after = target.substr(last + 1);
    constexpr char kBrackets[] = "an IPv6 address must be in brackets, followed by a port";
    if (IsIpv6(before) && CheckPort(after).ok()) {
      return Wrong(kBrackets, absl::StrCat("[", before, "]:", after));
    }
    if (IsIpv6(target)) return Wrong(kBrackets, absl::StrCat("[", target, "]:50051"));
    return Wrong("it has more than one colon");
  }
  const size_t colon = std::min(target.find(':'), target.size());
  const absl::string_view host = target.substr(0, colon);
  if (host.empty()) return Wrong("it has no host");
  if (!std::all_of(host.begin(), host.end(), IsHostByte)) {
    return Wrong("its host has characters that are not allowed in host names");
  }
  if (colon == target.size()) {
    // A number alone is a port.
    return CheckPort(host).ok()
               ? Wrong("it has a port, but no host", absl::StrCat("127.0.0.1:", host))
               : Wrong("it has no port", absl::StrCat(host, ":50051"));
  }
  return CheckPort(target.substr(colon + 1));
}

absl::Status CheckUrl(absl::string_view target, bool tls) {
  absl::string_view rest = target.substr(target.find("//") + 2);
  rest = rest.substr(0, rest.find('/'));
  const std::string right = CheckHostAndPort(rest).ok() ? std::string(rest) : kExample;
  return Wrong("it is a URL, and gRPC needs HOST:PORT",
               absl::StrCat(right, tls ? ", and turn TLS on separately (--tls)" : ""));
}

}  // namespace

absl::Status CheckTarget(absl::string_view target) {
  if (target.empty()) return Wrong("it is empty");
  if (absl::StartsWithIgnoreCase(target, "http://")) return CheckUrl(target, false);
  if (absl::StartsWithIgnoreCase(target, "https://")) return CheckUrl(target, true);
  for (absl::string_view scheme : {"unix:", "unix-abstract:"}) {
    if (!absl::StartsWith(target, scheme)) continue;
    return target.size() > scheme.size() ? absl::OkStatus() : Wrong("it has no socket path");
  }
  if (absl::StrContains(target, "://") && !absl::StartsWith(target, "dns://")) {
    return Wrong("it begins like a URL");
  }
  if (absl::ConsumePrefix(&target, "dns://")) {  // The name server that is asked, then the name.
    const size_t slash = target.find('/');
    if (slash == absl::string_view::npos) return Wrong("it has no host", "dns:///HOST:PORT");
    target.remove_prefix(slash + 1);
  } else if (!absl::ConsumePrefix(&target, "dns:") && !absl::ConsumePrefix(&target, "ipv4:")) {
    absl::ConsumePrefix(&target, "ipv6:");
  }
  return CheckHostAndPort(target);
}

bool IsLoopback(absl::string_view target) {
  if (absl::StartsWith(target, "unix:") || absl::StartsWith(target, "unix-abstract:")) return true;
  for (absl::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (absl::ConsumePrefix(&target, scheme)) break;
  }
  const std::string host(target.substr(0, target.rfind(':')));
  in_addr v4;
  const bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4) == 1;
  return host == "localhost" || host == "[::1]" ||
         (is_v4 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

}  // namespace hookgate
