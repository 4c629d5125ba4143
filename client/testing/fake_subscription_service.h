// SubscriptionService of which a test writes the streams.
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

  // The next stream gets it. One for which there is none is held open, silently, until its client
  // ends it.
  void AddStream(Script script) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  grpc::Status Consume(grpc::ServerContext* context, Stream* stream) override
      ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  std::deque<Script> streams_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate::testing

#endif  // HOOKGATE_CLIENT_TESTING_FAKE_SUBSCRIPTION_SERVICE_H_
