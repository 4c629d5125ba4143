#include "client/testing/fake_subscription_service.h"

#include <utility>

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

}  // namespace hookgate::testing
