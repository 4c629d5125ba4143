#include "client/connection_security.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "client/target.h"
#include "client/token_source.h"

namespace hookgate {

absl::Status CheckSecurity(const std::string& target, const ConnectionSecurity& security) {
  if (security.certificate.empty() != security.key.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate needs its key, and a key its certificate");
  }
  if (!security.tls && !(security.ca + security.certificate).empty()) {
    return absl::InvalidArgumentError("certificates need TLS, which is not turned on");
  }
  if (!security.token.empty() && !LooksLikeToken(security.token)) {
    return absl::InvalidArgumentError("the token has spaces or other bytes that no token has");
  }
  if (security.token.empty() && !security.token_file.empty()) {
    const absl::StatusOr<std::string> token = ReadTokenFile(security.token_file);
    if (!token.ok()) return token.status();
  }
  const bool has_token = !(security.token + security.token_file).empty();
  if (!has_token || security.tls || IsLoopback(target)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("without TLS the token would travel to ", target,
                                                 " in the clear: use TLS, or a loopback address"));
}

}  // namespace hookgate
