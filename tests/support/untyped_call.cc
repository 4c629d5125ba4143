#include "tests/support/untyped_call.h"

#include <grpcpp/generic/generic_stub.h>

#include "tests/support/grpc_watch.h"

namespace hookgate {

grpc::Status CallUntyped(const std::shared_ptr<grpc::Channel>& channel,
                         grpc::ClientContext& context, const std::string& path,
                         const std::string& request) {
  const UntypedCalls untyped;
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  const grpc::Slice slice(request);
  auto call = stub.PrepareUnaryCall(&context, path, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

}  // namespace hookgate
