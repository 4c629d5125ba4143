#include "tests/bench/consumers.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace hookgate {
namespace {

using v1::SubscriptionService;

std::unique_ptr<SubscriptionService::Stub> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return SubscriptionService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

[[noreturn]] void Die(const grpc::Status& status) {
  std::cerr << "bench: a consumer's call ended: " << status.error_message() << "\n";
  std::exit(1);
}

void Create(const std::string& address, const std::string& name) {
  v1::CreateSubscriptionRequest request;
  request.set_name(name);
  request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
  v1::CreateSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status = Connect(address)->CreateSubscription(&context, request, &response);
  if (!status.ok()) Die(status);
}

// Until all consumers together have had `left` acks answered.
void Consume(const std::string& address, const std::string& subscription, const std::string& name,
             std::atomic<int64_t>& left) {
  const auto stub = Connect(address);
  grpc::ClientContext context;
  const auto stream = stub->Consume(&context);
  v1::ConsumeRequest request;
  request.mutable_open()->set_subscription(subscription);
  request.mutable_open()->set_consumer_name(name);
  // So that those who have nothing left to do notice.
  request.mutable_open()->mutable_heartbeat_interval()->set_nanos(100'000'000);
  stream->Write(request);
  v1::ConsumeResponse response;
  while (left > 0) {
    if (!stream->Read(&response)) Die(stream->Finish());
    left -= response.ack_results().results_size();
    if (!response.has_deliveries()) continue;
    request.Clear();
    for (const v1::Delivery& delivery : response.deliveries().deliveries()) {
      request.mutable_ack()->add_delivery_ids(delivery.delivery_id());
    }
    stream->Write(request);
  }
  context.TryCancel();
  stream->Finish();
}

}  // namespace

absl::Duration ConsumeAll(const std::string& address, const std::string& name, int consumers,
                          int64_t events) {
  Create(address, name);
  std::atomic<int64_t> left = events;
  std::atomic<int64_t> end_nanos = 0;
  const absl::Time start = absl::Now();
  std::vector<std::thread> threads;
  for (int i = 0; i < consumers; ++i) {
    threads.emplace_back([&, i] {
      Consume(address, name, absl::StrCat("consumer-", i), left);
      // The first to notice: the others wait for a heartbeat.
      int64_t none = 0;
      end_nanos.compare_exchange_strong(none, absl::ToInt64Nanoseconds(absl::Now() - start));
    });
  }
  for (std::thread& thread : threads) thread.join();
  return absl::Nanoseconds(end_nanos.load());
}

}  // namespace hookgate
