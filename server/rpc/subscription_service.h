// SubscriptionService over gRPC.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_

#include <memory>

#include "server/eventlog/event_log.h"
#include "server/rpc/consume_stream.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace hookgate {

// `log` and what is in `context` outlive the service.
std::unique_ptr<grpc::Service> MakeSubscriptionService(const ConsumeContext& context,
                                                       EventLog& log);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
