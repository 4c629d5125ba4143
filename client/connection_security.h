// TLS and tokens towards a gateway.
#ifndef HOOKGATE_CLIENT_CONNECTION_SECURITY_H_
#define HOOKGATE_CLIENT_CONNECTION_SECURITY_H_

#include <string>

#include "absl/status/status.h"

namespace hookgate {

// How a connection is kept private, and by what the gateway knows who calls.
struct ConnectionSecurity {
  // TLS. The gateway's certificate is verified, and must name the host of the target.
  bool tls = false;
  std::string ca;           // PEM of those who may have signed it; "": those the system trusts
  std::string certificate;  // PEM of the client's own and its key, for a gateway that asks for one
  std::string key;
  // Sent with each call. Over plain text it is sent to loopback addresses alone: elsewhere anybody
  // on the way could take it.
  std::string token;
  // A file that holds the token, and is read again for each call, so that it can be replaced while
  // the client runs; white space around the token does not count. `token` is used until this one
  // can be read, and the one read last while it cannot. "": none.
  std::string token_file;
};

// OK, or INVALID_ARGUMENT that says what does not go together, such as a token without TLS for a
// target that is not loopback, or what is wrong with the token file. No message holds the token.
absl::Status CheckSecurity(const std::string& target, const ConnectionSecurity& security);

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_CONNECTION_SECURITY_H_
