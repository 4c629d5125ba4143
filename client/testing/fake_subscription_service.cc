#include "client/testing/fake_subscription_service.h"

#include <utility>

#include "client/testing/play_script.h"

namespace hookgate::testing {

void FakeSubscriptionService::AddStream(Script script) {
  absl::MutexLock lock(&mu_);
  streams_.push_back(std::move(script));
}

grpc::Status FakeSubscriptionService::Consume(grpc::ServerContext*, Stream* stream) {
  Script script;
  {
    absl::MutexLock lock(&mu_);
    if (!streams_.empty()) {
      script = std::move(streams_.front());
      streams_.pop_front();
    }
  }
  if (script) return script(*stream);
  v1::ConsumeRequest request;
  while (stream->Read(&request)) {
  }
  return grpc::Status::OK;
}

grpc::Status FakeSubscriptionService::CreateSubscription(
    grpc::ServerContext*, const v1::CreateSubscriptionRequest* request,
    v1::CreateSubscriptionResponse* response) {
  return PlayScript(create_subscription, request, response);
}

grpc::Status FakeSubscriptionService::GetSubscription(grpc::ServerContext*,
                                                      const v1::GetSubscriptionRequest* request,
                                                      v1::GetSubscriptionResponse* response) {
  return PlayScript(get_subscription, request, response);
}

grpc::Status FakeSubscriptionService::ListSubscriptions(grpc::ServerContext*,
                                                        const v1::ListSubscriptionsRequest* request,
                                                        v1::ListSubscriptionsResponse* response) {
  return PlayScript(list_subscriptions, request, response);
}

grpc::Status FakeSubscriptionService::UpdateSubscription(
    grpc::ServerContext*, const v1::UpdateSubscriptionRequest* request,
    v1::UpdateSubscriptionResponse* response) {
  return PlayScript(update_subscription, request, response);
}

grpc::Status FakeSubscriptionService::DeleteSubscription(
    grpc::ServerContext*, const v1::DeleteSubscriptionRequest* request,
    v1::DeleteSubscriptionResponse* response) {
  return PlayScript(delete_subscription, request, response);
}

grpc::Status FakeSubscriptionService::SeekSubscription(grpc::ServerContext*,
                                                       const v1::SeekSubscriptionRequest* request,
                                                       v1::SeekSubscriptionResponse* response) {
  return PlayScript(seek_subscription, request, response);
}

grpc::Status FakeSubscriptionService::ListDeliveries(grpc::ServerContext*,
                                                     const v1::ListDeliveriesRequest* request,
                                                     v1::ListDeliveriesResponse* response) {
  return PlayScript(list_deliveries, request, response);
}

grpc::Status FakeSubscriptionService::PauseSubscription(grpc::ServerContext*,
                                                        const v1::PauseSubscriptionRequest* request,
                                                        v1::PauseSubscriptionResponse* response) {
  return PlayScript(pause_subscription, request, response);
}

grpc::Status FakeSubscriptionService::ResumeSubscription(
    grpc::ServerContext*, const v1::ResumeSubscriptionRequest* request,
    v1::ResumeSubscriptionResponse* response) {
  return PlayScript(resume_subscription, request, response);
}

grpc::Status FakeSubscriptionService::ListDeadLetters(grpc::ServerContext*,
                                                      const v1::ListDeadLettersRequest* request,
                                                      v1::ListDeadLettersResponse* response) {
  return PlayScript(list_dead_letters, request, response);
}

grpc::Status FakeSubscriptionService::RedriveDeadLetters(
    grpc::ServerContext*, const v1::RedriveDeadLettersRequest* request,
    v1::RedriveDeadLettersResponse* response) {
  return PlayScript(redrive_dead_letters, request, response);
}

grpc::Status FakeSubscriptionService::DiscardDeadLetters(
    grpc::ServerContext*, const v1::DiscardDeadLettersRequest* request,
    v1::DiscardDeadLettersResponse* response) {
  return PlayScript(discard_dead_letters, request, response);
}

grpc::Status FakeSubscriptionService::RedeliverEvents(grpc::ServerContext*,
                                                      const v1::RedeliverEventsRequest* request,
                                                      v1::RedeliverEventsResponse* response) {
  return PlayScript(redeliver_events, request, response);
}

grpc::Status FakeSubscriptionService::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                                             v1::GetJobResponse* response) {
  return PlayScript(get_job, request, response);
}

grpc::Status FakeSubscriptionService::ListJobs(grpc::ServerContext*,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  return PlayScript(list_jobs, request, response);
}

grpc::Status FakeSubscriptionService::CancelJob(grpc::ServerContext*,
                                                const v1::CancelJobRequest* request,
                                                v1::CancelJobResponse* response) {
  return PlayScript(cancel_job, request, response);
}

}  // namespace hookgate::testing
