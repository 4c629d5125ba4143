// The door of the gRPC port: TLS with the certificates in force at each handshake, and CheckCall
// before each call of any service on the port, gRPC's own included.
#ifndef HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_
#define HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/access/access_control.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// Both outlive the server. Without `certificates` (null) the port is plain text.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(
    const AccessControl& access, const CertificateStore* certificates);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SERVER_CREDENTIALS_H_
