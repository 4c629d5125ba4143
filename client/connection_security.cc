#include "client/connection_security.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/target.h"

namespace hookgate {

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
