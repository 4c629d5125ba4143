// The calls of SubscriptionService that administer, without gRPC: request in, response or error
// out. Each reads the log, so it may block; those that write wait for their commit in a callback.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/executor.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Thread-safe. Errors are those that subscription_service.proto names.
class SubscriptionCalls {
 public:
  // All of these outlive the calls. `executor` is where reading the log may block.
  SubscriptionCalls(SubscriptionRegistry& subscriptions, EventLog& log, Executor& executor)
      : subscriptions_(subscriptions), log_(log), executor_(executor) {}

  // Called once, on any thread, with how a call that writes ended. The request and the response
  // live until then.
  using Finish = absl::AnyInvocable<void(const absl::Status&) &&>;

  void Create(const hookgate::v1::CreateSubscriptionRequest& request,
              hookgate::v1::CreateSubscriptionResponse& response, Finish finish);
  absl::Status Get(const hookgate::v1::GetSubscriptionRequest& request,
                   hookgate::v1::GetSubscriptionResponse& response);
  absl::Status List(const hookgate::v1::ListSubscriptionsRequest& request,
                    hookgate::v1::ListSubscriptionsResponse& response);
  void Update(const hookgate::v1::UpdateSubscriptionRequest& request,
              hookgate::v1::UpdateSubscriptionResponse& response, Finish finish);
  void Delete(const hookgate::v1::DeleteSubscriptionRequest& request,
              hookgate::v1::DeleteSubscriptionResponse& response, Finish finish);
  void Seek(const hookgate::v1::SeekSubscriptionRequest& request,
            hookgate::v1::SeekSubscriptionResponse& response, Finish finish);
  absl::Status ListDeliveries(const hookgate::v1::ListDeliveriesRequest& request,
                              hookgate::v1::ListDeliveriesResponse& response);
  void Pause(const hookgate::v1::PauseSubscriptionRequest& request,
             hookgate::v1::PauseSubscriptionResponse& response, Finish finish);
  void Resume(const hookgate::v1::ResumeSubscriptionRequest& request,
              hookgate::v1::ResumeSubscriptionResponse& response, Finish finish);
  absl::Status ListDeadLetters(const hookgate::v1::ListDeadLettersRequest& request,
                               hookgate::v1::ListDeadLettersResponse& response);
  void RedriveDeadLetters(const hookgate::v1::RedriveDeadLettersRequest& request,
                          hookgate::v1::RedriveDeadLettersResponse& response, Finish finish);
  void DiscardDeadLetters(const hookgate::v1::DiscardDeadLettersRequest& request,
                          hookgate::v1::DiscardDeadLettersResponse& response, Finish finish);
  void RedeliverEvents(const hookgate::v1::RedeliverEventsRequest& request,
                       hookgate::v1::RedeliverEventsResponse& response, Finish finish);
  absl::Status GetJob(const hookgate::v1::GetJobRequest& request,
                      hookgate::v1::GetJobResponse& response);
  absl::Status ListJobs(const hookgate::v1::ListJobsRequest& request,
                        hookgate::v1::ListJobsResponse& response);
  void CancelJob(const hookgate::v1::CancelJobRequest& request,
                 hookgate::v1::CancelJobResponse& response, Finish finish);

 private:
  // Of a request with a selection: starts `job`, or says what it would be about.
  template <typename Request, typename Response>
  absl::Status StartOrPreview(const Request& request, hookgate::v1::Job job,
                              Subscription& subscription, Response& response, Finish& finish);
  // For an operator's change: logs it under `what`, and ends the call with how the subscription is
  // then.
  Subscription::Done<Subscription::Decided> ChangeDone(std::shared_ptr<Subscription> subscription,
                                                       absl::string_view what,
                                                       hookgate::v1::Subscription& response,
                                                       Finish finish);
  // Ends a call with how the subscription is now, which is read where that may block.
  void FinishWith(std::shared_ptr<Subscription> subscription, hookgate::v1::Subscription& response,
                  Finish finish);

  SubscriptionRegistry& subscriptions_;
  EventLog& log_;
  Executor& executor_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_CALLS_H_
