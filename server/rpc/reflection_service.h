// Server reflection (grpc.reflection.v1 and v1alpha), by which grpcurl and its like need no .proto
// files. Needs an identity if there are principals, but no right.
#ifndef HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_
#define HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_

#include "server/grpc_server/method_table.h"
#include "server/rpc/call_gate.h"
#include "server/rpc/reflection.h"
#include "server/rpc/stream_registry.h"

namespace hookgate {

// All of it outlives the server of the table. The streams of reflection count as those of
// subscribers do.
struct ReflectionContext {
  const Reflection& reflection;
  StreamRegistry& registry;
  CallGate& gate;
};

// Adds the services of both versions.
void AddReflectionServices(const ReflectionContext& context, MethodTable& table);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_REFLECTION_SERVICE_H_
