// The gRPC port's TLS, with the certificates in force at each handshake. Who calls is checked in
// each call (caller.h).
#ifndef HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_
#define HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/tls/certificate_store.h"

namespace hookgate {

// `certificates` outlives the server. Without it (null) the port is plain text.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const CertificateStore* certificates);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_
