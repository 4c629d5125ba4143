// A plain gRPC client of SubscriptionService.Consume, without the client library's leases and
// reconnecting.
#ifndef HOOKGATE_TESTS_SUPPORT_CONSUME_CALL_H_
#define HOOKGATE_TESTS_SUPPORT_CONSUME_CALL_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "hookgate/v1/subscription_service.grpc.pb.h"

namespace hookgate {

// `address`: HOST:PORT of a gateway. Each stub has a connection of its own.
std::unique_ptr<v1::SubscriptionService::Stub> ConnectToSubscriptions(const std::string& address);

// One Consume call. Its calls block; after `patience` in all the stream fails with
// DEADLINE_EXCEEDED.
class ConsumeCall {
 public:
  // Sends `open`, a ConsumeRequest.Open in protobuf text format.
  ConsumeCall(const std::string& address, const std::string& open,
              std::chrono::seconds patience = std::chrono::seconds(60));

  // Sends a ConsumeRequest in protobuf text format; false if the stream has ended.
  bool Send(const std::string& request);
  bool Ack(const std::string& delivery_id);
  bool Nack(const std::string& delivery_id, const std::string& more = "");

  // The next frame; none set at the end of the stream.
  v1::ConsumeResponse Next();
  // The next delivery, over heartbeats and Opened; empty at the end of the stream. Results that
  // come before it are kept for NextResult.
  v1::Delivery NextDelivery();
  std::vector<v1::Delivery> NextDeliveries(size_t count);
  // The next result, over heartbeats. Deliveries that come before it are kept for NextDelivery.
  v1::AckResult NextResult();

  // No more requests from here.
  void CloseSending() { stream_->WritesDone(); }
  void Cancel() { context_.TryCancel(); }
  // Reads to the end.
  grpc::Status Finish();

 private:
  // False: the end.
  bool ReadFrame();

  const std::unique_ptr<v1::SubscriptionService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ConsumeRequest, v1::ConsumeResponse>> stream_;
  std::deque<v1::Delivery> deliveries_;
  std::deque<v1::AckResult> results_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_SUPPORT_CONSUME_CALL_H_
