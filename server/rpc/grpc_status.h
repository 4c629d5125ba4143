// The one place where an absl::Status becomes a gRPC answer.
#ifndef HOOKGATE_SERVER_RPC_GRPC_STATUS_H_
#define HOOKGATE_SERVER_RPC_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace hookgate {

// Same code and message. Details (google.rpc): ErrorInfo with domain "hookgate", the reason in
// upper case and its metadata; BadRequest if the status is about a field; RetryInfo if it is
// UNAVAILABLE.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_GRPC_STATUS_H_
