// hookgate.v1.SubscriptionService.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_

#include <string>

#include "absl/status/status.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/eventlog/event_log.h"
#include "server/grpc_server/method_table.h"
#include "server/rpc/caller.h"
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

  absl::Status MayUpdate(const Caller& caller, const v1::UpdateSubscriptionRequest& request);
  absl::Status MayRedeliver(const Caller& caller, const v1::RedeliverEventsRequest& request);
  // Whether the caller could make the subscription with the sources that its filter has now.
  absl::Status CheckOwnSources(const Caller& caller, const std::string& name) const;

  const ConsumeContext context_;
  SubscriptionCalls calls_;
  UnaryCalls unary_;  // last: waits for what uses the others
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_SERVICE_H_
