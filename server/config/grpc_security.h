// The part of the options that says who may come in over gRPC: TLS and principals.
#ifndef HOOKGATE_SERVER_CONFIG_GRPC_SECURITY_H_
#define HOOKGATE_SERVER_CONFIG_GRPC_SECURITY_H_

#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/access/access_policy.h"
#include "server/config/problems.h"
#include "server/tls/certificates.h"

namespace hookgate {

struct GrpcSecurity {
  absl::optional<CertificateFiles> certificates;  // none: plain text
  std::vector<Principal> principals;              // none: open to everybody
};

// Checks what `config` says about who may come in, and reads the certificates to see that they are
// right. Warns of what is open to everybody, of rights for sources that are not there or for
// subscriptions that cannot be, and of principals without any right.
//   address  where gRPC listens
//   exposed  it can be reached from other machines
// What it returns is only good if it added no error.
GrpcSecurity ResolveGrpcSecurity(const hookgate::config::v1::Config& config,
                                 const std::string& address, bool exposed, Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_GRPC_SECURITY_H_
