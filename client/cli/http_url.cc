#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/cli/http_post.h"

namespace hookgate::cli {
namespace {

constexpr char kHttp[] = "http://";
constexpr char kHttps[] = "https://";

const char* DefaultPort(bool tls) { return tls ? "443" : "80"; }

absl::Status NoUrl(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(why, "; use a URL such as http://127.0.0.1:8080"));
}

// Nothing that would end the request line or a header, or begin a query.
bool IsPathByte(unsigned char c) { return absl::ascii_isgraph(c) && c != '?' && c != '#'; }

bool IsHostByte(unsigned char c) {
  return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
}

// An IPv6 address, perhaps with a zone.
bool IsBracketedByte(unsigned char c) {
  return absl::ascii_isalnum(c) || c == ':' || c == '.' || c == '%';
}

absl::Status SplitHostAndPort(absl::string_view authority, HttpUrl& url) {
  if (absl::StrContains(authority, '@')) return NoUrl("it holds a user name or password");
  absl::string_view host;
  if (absl::ConsumePrefix(&authority, "[")) {
    const size_t close = authority.find(']');
    if (close == absl::string_view::npos) return NoUrl("its '[' is not closed");
    host = authority.substr(0, close);
    authority.remove_prefix(close + 1);
    if (!std::all_of(host.begin(), host.end(), IsBracketedByte))
      return NoUrl("its host has characters that no host name has");
  } else {
    host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(host.size());
    if (!std::all_of(host.begin(), host.end(), IsHostByte))
      return NoUrl("its host has characters that no host name has");
  }
  if (host.empty()) return NoUrl("it has no host");
  url.host = std::string(host);
  if (authority.empty()) return absl::OkStatus();
  int port = 0;
  if (!absl::ConsumePrefix(&authority, ":") || !absl::SimpleAtoi(authority, &port) || port < 1 ||
      port > 65535) {
    return NoUrl("its port is not one from 1 to 65535");
  }
  url.port = absl::StrCat(port);
  return absl::OkStatus();
}

}  // namespace

std::string HttpUrl::Authority() const {
  const std::string name = absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
  return port == DefaultPort(tls) ? name : absl::StrCat(name, ":", port);
}

std::string HttpUrl::ToString() const {
  return absl::StrCat(tls ? kHttps : kHttp, Authority(), path);
}

absl::StatusOr<HttpUrl> ParseHttpUrl(absl::string_view text) {
  HttpUrl url;
  url.tls = absl::StartsWithIgnoreCase(text, kHttps);
  url.port = DefaultPort(url.tls);
  const absl::string_view scheme = url.tls ? kHttps : kHttp;
  if (!absl::StartsWithIgnoreCase(text, scheme)) {
    return NoUrl("it begins neither with http:// nor with https://");
  }
  text.remove_prefix(scheme.size());
  const size_t slash = std::min(text.find('/'), text.size());
  absl::string_view path = text.substr(slash);
  if (!std::all_of(path.begin(), path.end(), IsPathByte)) {
    return NoUrl("its path holds a blank, a '?', a '#' or something that is not ASCII");
  }
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  url.path = std::string(path);
  const absl::Status split = SplitHostAndPort(text.substr(0, slash), url);
  if (!split.ok()) return split;
  return url;
}

}  // namespace hookgate::cli
