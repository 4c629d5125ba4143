#include "server/grpc_server/grpc_server.h"

namespace hookgate {

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions&,
                                                              const MethodTable&, const Clock&,
                                                              const CertificateStore*) {
  return absl::UnimplementedError("not built yet");
}

}  // namespace hookgate
