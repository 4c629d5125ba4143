// The part of the options that says who may come in over gRPC: TLS and principals.
#ifndef HOOKGATE_SERVER_GATEWAY_DOORS_H_
#define HOOKGATE_SERVER_GATEWAY_DOORS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/access/access_policy.h"
#include "server/tls/certificates.h"

namespace hookgate {

struct Doors {
  absl::optional<CertificateFiles> certificates;  // none: plain text
  std::vector<Principal> principals;              // none: open to everybody
};

// Where the certificates of one listener are, once they have been read to see that they are right.
// INVALID_ARGUMENT that begins with `key`, such as "grpc.tls", and says what would be right.
absl::StatusOr<CertificateFiles> ResolveTls(const hookgate::config::v1::Tls& tls,
                                            const std::string& key);

// Checks what `config` says about doors, and reads the certificates to see that they are right.
//   exposed  the address can be reached from other machines
// INVALID_ARGUMENT that begins with the key at fault and says what would be right.
absl::StatusOr<Doors> ResolveDoors(const hookgate::config::v1::Config& config, bool exposed);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_DOORS_H_
