#include "tests/support/consume_call.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"

namespace hookgate {

using v1::ConsumeRequest;
using v1::ConsumeResponse;

std::unique_ptr<v1::SubscriptionService::Stub> ConnectToSubscriptions(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::SubscriptionService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

ConsumeCall::ConsumeCall(const std::string& address, const std::string& open,
                         std::chrono::seconds patience)
    : stub_(ConnectToSubscriptions(address)) {
  context_.set_deadline(std::chrono::system_clock::now() + patience);
  stream_ = stub_->Consume(&context_);
  Send(absl::StrCat("open { ", open, " }"));
}

bool ConsumeCall::Send(const std::string& request) {
  ConsumeRequest frame;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(request, &frame));
  return stream_->Write(frame);
}

bool ConsumeCall::Ack(const std::string& delivery_id) {
  return Send(absl::StrCat("ack { delivery_ids: '", delivery_id, "' }"));
}

bool ConsumeCall::Nack(const std::string& delivery_id, const std::string& more) {
  return Send(absl::StrCat("nack { items { delivery_id: '", delivery_id, "' ", more, " } }"));
}

ConsumeResponse ConsumeCall::Next() {
  ConsumeResponse response;
  if (!stream_->Read(&response)) response.Clear();
  return response;
}

bool ConsumeCall::ReadFrame() {
  const ConsumeResponse frame = Next();
  const auto& deliveries = frame.deliveries().deliveries();
  deliveries_.insert(deliveries_.end(), deliveries.begin(), deliveries.end());
  const auto& results = frame.ack_results().results();
  results_.insert(results_.end(), results.begin(), results.end());
  return frame.frame_case() != ConsumeResponse::FRAME_NOT_SET;
}

v1::Delivery ConsumeCall::NextDelivery() {
  while (deliveries_.empty()) {
    if (!ReadFrame()) return {};
  }
  v1::Delivery next = deliveries_.front();
  deliveries_.pop_front();
  return next;
}

std::vector<v1::Delivery> ConsumeCall::NextDeliveries(size_t count) {
  std::vector<v1::Delivery> all;
  while (all.size() < count) {
    all.push_back(NextDelivery());
    if (all.back().delivery_id().empty()) {
      ADD_FAILURE() << "the stream ended after " << all.size() - 1 << " of " << count;
      all.pop_back();
      break;
    }
  }
  return all;
}

v1::AckResult ConsumeCall::NextResult() {
  while (results_.empty()) {
    if (!ReadFrame()) return {};
  }
  v1::AckResult next = results_.front();
  results_.pop_front();
  return next;
}

grpc::Status ConsumeCall::Finish() {
  ConsumeResponse ignored;
  while (stream_->Read(&ignored)) {
  }
  return stream_->Finish();
}

}  // namespace hookgate
