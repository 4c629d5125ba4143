// hookgate.v1.SubscriptionService.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_

#include "server/eventlog/event_log.h"
#include "server/grpc_server/method_table.h"
#include "server/rpc/consume_stream.h"
#include "server/rpc/subscription_calls.h"
#include "server/rpc/unary_calls.h"

namespace hookgate {

class SubscriptionService {
 public:
  // `log` and what is in `context` outlive the service.
  SubscriptionService(const ConsumeContext& context, EventLog& log);

  // Adds its methods. The service outlives the table's server.
  void AddTo(MethodTable& table);
  // Whether no call that reads or writes the log is under way.
  bool idle() const { return unary_.idle(); }

 private:
  Method Consume();
  Method Pull();
  Method Acknowledge();

  const ConsumeContext context_;
  SubscriptionCalls calls_;
  UnaryCalls unary_;  // last: waits for what uses the others
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
