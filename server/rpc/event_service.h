// hookgate.v1.EventService over gRPC's callback API. No call blocks a gRPC thread: what reads the
// disk runs on an executor.
#ifndef HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_
#define HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "server/rpc/subscribe_stream.h"

namespace hookgate {

// `context` outlives the service.
std::unique_ptr<grpc::Service> MakeEventService(const StreamContext& context);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_EVENT_SERVICE_H_
