// SubscriptionService of which a test writes the streams and the answers.
#ifndef HOOKGATE_CLIENT_TESTING_FAKE_SUBSCRIPTION_SERVICE_H_
#define HOOKGATE_CLIENT_TESTING_FAKE_SUBSCRIPTION_SERVICE_H_

#include <deque>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/sync_stream.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace hookgate::testing {

// Thread-safe.
class FakeSubscriptionService final : public v1::SubscriptionService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ConsumeResponse, v1::ConsumeRequest>;
  // Plays one Consume stream and ends it with the status returned.
  using Script = std::function<grpc::Status(Stream& stream)>;

  // Of the unary calls; set before the calls that play them; UNIMPLEMENTED while empty.
  template <typename Request, typename Response>
  using Answer = std::function<grpc::Status(const Request&, Response*)>;
  Answer<v1::CreateSubscriptionRequest, v1::CreateSubscriptionResponse> create_subscription;
  Answer<v1::GetSubscriptionRequest, v1::GetSubscriptionResponse> get_subscription;
  Answer<v1::ListSubscriptionsRequest, v1::ListSubscriptionsResponse> list_subscriptions;
  Answer<v1::UpdateSubscriptionRequest, v1::UpdateSubscriptionResponse> update_subscription;
  Answer<v1::DeleteSubscriptionRequest, v1::DeleteSubscriptionResponse> delete_subscription;
  Answer<v1::SeekSubscriptionRequest, v1::SeekSubscriptionResponse> seek_subscription;
  Answer<v1::ListDeliveriesRequest, v1::ListDeliveriesResponse> list_deliveries;
  Answer<v1::PauseSubscriptionRequest, v1::PauseSubscriptionResponse> pause_subscription;
  Answer<v1::ResumeSubscriptionRequest, v1::ResumeSubscriptionResponse> resume_subscription;
  Answer<v1::ListDeadLettersRequest, v1::ListDeadLettersResponse> list_dead_letters;
  Answer<v1::RedriveDeadLettersRequest, v1::RedriveDeadLettersResponse> redrive_dead_letters;
  Answer<v1::DiscardDeadLettersRequest, v1::DiscardDeadLettersResponse> discard_dead_letters;
  Answer<v1::RedeliverEventsRequest, v1::RedeliverEventsResponse> redeliver_events;
  Answer<v1::GetJobRequest, v1::GetJobResponse> get_job;
  Answer<v1::ListJobsRequest, v1::ListJobsResponse> list_jobs;
  Answer<v1::CancelJobRequest, v1::CancelJobResponse> cancel_job;

  // The next stream gets it. One for which there is none is held open, silently, until its client
  // ends it.
  void AddStream(Script script) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  grpc::Status Consume(grpc::ServerContext* context, Stream* stream) override
      ABSL_LOCKS_EXCLUDED(mu_);

  grpc::Status CreateSubscription(grpc::ServerContext* context,
                                  const v1::CreateSubscriptionRequest* request,
                                  v1::CreateSubscriptionResponse* response) override;
  grpc::Status GetSubscription(grpc::ServerContext* context,
                               const v1::GetSubscriptionRequest* request,
                               v1::GetSubscriptionResponse* response) override;
  grpc::Status ListSubscriptions(grpc::ServerContext* context,
                                 const v1::ListSubscriptionsRequest* request,
                                 v1::ListSubscriptionsResponse* response) override;
  grpc::Status UpdateSubscription(grpc::ServerContext* context,
                                  const v1::UpdateSubscriptionRequest* request,
                                  v1::UpdateSubscriptionResponse* response) override;
  grpc::Status DeleteSubscription(grpc::ServerContext* context,
                                  const v1::DeleteSubscriptionRequest* request,
                                  v1::DeleteSubscriptionResponse* response) override;
  grpc::Status SeekSubscription(grpc::ServerContext* context,
                                const v1::SeekSubscriptionRequest* request,
                                v1::SeekSubscriptionResponse* response) override;
  grpc::Status ListDeliveries(grpc::ServerContext* context,
                              const v1::ListDeliveriesRequest* request,
                              v1::ListDeliveriesResponse* response) override;
  grpc::Status PauseSubscription(grpc::ServerContext* context,
                                 const v1::PauseSubscriptionRequest* request,
                                 v1::PauseSubscriptionResponse* response) override;
  grpc::Status ResumeSubscription(grpc::ServerContext* context,
                                  const v1::ResumeSubscriptionRequest* request,
                                  v1::ResumeSubscriptionResponse* response) override;
  grpc::Status ListDeadLetters(grpc::ServerContext* context,
                               const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override;
  grpc::Status RedriveDeadLetters(grpc::ServerContext* context,
                                  const v1::RedriveDeadLettersRequest* request,
                                  v1::RedriveDeadLettersResponse* response) override;
  grpc::Status DiscardDeadLetters(grpc::ServerContext* context,
                                  const v1::DiscardDeadLettersRequest* request,
                                  v1::DiscardDeadLettersResponse* response) override;
  grpc::Status RedeliverEvents(grpc::ServerContext* context,
                               const v1::RedeliverEventsRequest* request,
                               v1::RedeliverEventsResponse* response) override;
  grpc::Status GetJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                      v1::GetJobResponse* response) override;
  grpc::Status ListJobs(grpc::ServerContext* context, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status CancelJob(grpc::ServerContext* context, const v1::CancelJobRequest* request,
                         v1::CancelJobResponse* response) override;

  absl::Mutex mu_;
  std::deque<Script> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate::testing

#endif  // HOOKGATE_CLIENT_TESTING_FAKE_SUBSCRIPTION_SERVICE_H_
