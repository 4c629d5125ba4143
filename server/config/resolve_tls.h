// The TLS of one listener.
#ifndef HOOKGATE_SERVER_CONFIG_RESOLVE_TLS_H_
#define HOOKGATE_SERVER_CONFIG_RESOLVE_TLS_H_

#include <string>

#include "hookgate/config/v1/config.pb.h"
#include "server/config/problems.h"
#include "server/tls/certificates.h"

namespace hookgate {

// Where the certificates of one listener are, once they have been read to see that they are right.
// Adds errors and warnings under `key`, such as "grpc.tls".
CertificateFiles ResolveTls(const hookgate::config::v1::Tls& tls, const std::string& key,
                            Problems& problems);

// Adds a warning if the certificate has expired at `now`, or soon will. For --check_config alone: a
// listener logs that by itself, for each certificate that it loads.
void WarnOfExpiry(const CertificateFiles& files, const std::string& key, absl::Time now,
                  Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_RESOLVE_TLS_H_
