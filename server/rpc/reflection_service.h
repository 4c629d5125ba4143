// Server reflection (grpc.reflection.v1 and v1alpha), by which grpcurl and its like need no .proto
// files. Needs an identity if there are principals, but no right.
#ifndef HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_
#define HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "server/rpc/call_gate.h"
#include "server/rpc/reflection.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// All of it outlives the services. Its streams count as those of subscribers do.
struct ReflectionContext {
  const Reflection& reflection;
  StreamRegistry& registry;
  CallGate& gate;
};

std::unique_ptr<grpc::Service> MakeReflectionV1(const ReflectionContext& context);
std::unique_ptr<grpc::Service> MakeReflectionV1Alpha(const ReflectionContext& context);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_
