// A stream that ends before it begins.
#ifndef HOOKGATE_SERVER_RPC_REFUSED_STREAM_H_
#define HOOKGATE_SERVER_RPC_REFUSED_STREAM_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "server/rpc/grpc_status.h"

namespace hookgate {

// `Reactor` is one of gRPC's for streams. Made by new, it deletes itself when gRPC is done with it.
template <typename Reactor>
class RefusedStream final : public Reactor {
 public:
  explicit RefusedStream(const absl::Status& status) { this->Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

using RefusedBidiStream =
    RefusedStream<grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>>;
using RefusedServerStream = RefusedStream<grpc::ServerWriteReactor<grpc::ByteBuffer>>;

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFUSED_STREAM_H_
