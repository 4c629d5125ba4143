// The calls of SubscriptionService that administer, without gRPC: request in, response or error
// out. Each reads or writes the log, so it may block.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_

#include "absl/status/status.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe. Errors are those that subscription_service.proto names.
class SubscriptionCalls {
 public:
  // Both outlive the calls.
  SubscriptionCalls(SubscriptionRegistry& subscriptions, EventLog& log)
      : subscriptions_(subscriptions), log_(log) {}

  absl::Status Create(const hookgate::v1::CreateSubscriptionRequest& request,
                      hookgate::v1::CreateSubscriptionResponse& response);
  absl::Status Get(const hookgate::v1::GetSubscriptionRequest& request,
                   hookgate::v1::GetSubscriptionResponse& response);
  absl::Status List(const hookgate::v1::ListSubscriptionsRequest& request,
                    hookgate::v1::ListSubscriptionsResponse& response);
  absl::Status Update(const hookgate::v1::UpdateSubscriptionRequest& request,
                      hookgate::v1::UpdateSubscriptionResponse& response);
  absl::Status Delete(const hookgate::v1::DeleteSubscriptionRequest& request,
                      hookgate::v1::DeleteSubscriptionResponse& response);
  absl::Status Seek(const hookgate::v1::SeekSubscriptionRequest& request,
                    hookgate::v1::SeekSubscriptionResponse& response);
  absl::Status ListDeadLetters(const hookgate::v1::ListDeadLettersRequest& request,
                               hookgate::v1::ListDeadLettersResponse& response);
  absl::Status RedriveDeadLetters(const hookgate::v1::RedriveDeadLettersRequest& request,
                                  hookgate::v1::RedriveDeadLettersResponse& response);
  absl::Status DiscardDeadLetters(const hookgate::v1::DiscardDeadLettersRequest& request,
                                  hookgate::v1::DiscardDeadLettersResponse& response);

 private:
  SubscriptionRegistry& subscriptions_;
  EventLog& log_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_
