#include "client/connection_security.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace hookgate {
namespace {

// Its host by number or name: what it resolves to may change between looking and calling.
bool IsLoopback(absl::string_view target) {
  absl::ConsumePrefix(&target, "dns:///");
  if (absl::StartsWith(target, "unix:")) return true;
  const absl::string_view host = target.substr(0, target.rfind(':'));
  in_addr v4;
  const bool is_v4 = inet_pton(AF_INET, std::string(host).c_str(), &v4) == 1;
  return host == "localhost" || host == "[::1]" ||
         (is_v4 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

}  // namespace

absl::Status CheckSecurity(const std::string& target, const ConnectionSecurity& security) {
  if (security.certificate.empty() != security.key.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate needs its key, and a key its certificate");
  }
  if (!security.tls && !(security.ca + security.certificate).empty()) {
    return absl::InvalidArgumentError("certificates are for TLS, which is not asked for");
  }
  if (std::any_of(security.token.begin(), security.token.end(),
                  [](unsigned char c) { return !absl::ascii_isgraph(c); })) {
    return absl::InvalidArgumentError("the token has spaces or other bytes that no token has");
  }
  if (security.token.empty() || security.tls || IsLoopback(target)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("without TLS the token would travel to ", target,
                                                 " in the clear: use TLS, or a loopback address"));
}

}  // namespace hookgate
