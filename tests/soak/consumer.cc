#include "tests/soak/consumer.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/consume_call.h"

namespace hookgate {
namespace {

constexpr char kSubscription[] = "soak";
constexpr absl::Duration kLook = absl::Milliseconds(100);

}  // namespace

void Consumer::Create(const Life& life) {
  v1::CreateSubscriptionRequest request;
  request.set_name(kSubscription);
  request.mutable_start()->set_start_position(v1::START_POSITION_EARLIEST);
  v1::CreateSubscriptionResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      ConnectToSubscriptions(life.grpc)->CreateSubscription(&context, request, &response);
  if (!status.ok()) {
    ledger_.NoteFinding(
        absl::StrCat("the durable subscription was not made: ", status.error_message()));
  }
}

void Consumer::Run(const Life& life) {
  while (!life.ending.HasBeenNotified()) ConsumeStream(life);
}

void Consumer::ConsumeStream(const Life& life) {
  ConsumeCall call(life.grpc, absl::StrCat("subscription: '", kSubscription,
                                           "' consumer_name: 'soak' limits { "
                                           "max_outstanding_messages: 1000 "
                                           "max_outstanding_bytes: 10000000 }"));
  std::map<std::string, int64_t> unacked;  // delivery to sequence
  while (true) {
    const v1::ConsumeResponse frame = call.Next();
    if (frame.frame_case() == v1::ConsumeResponse::FRAME_NOT_SET) break;
    std::string ack;
    for (const v1::Delivery& delivery : frame.deliveries().deliveries()) {
      ledger_.NoteDelivery(delivery.event().sequence(), delivery.event().webhook_id());
      unacked[delivery.delivery_id()] = delivery.event().sequence();
      absl::StrAppend(&ack, "delivery_ids: '", delivery.delivery_id(), "' ");
    }
    if (!ack.empty()) call.Send(absl::StrCat("ack { ", ack, "}"));
    for (const v1::AckResult& result : frame.ack_results().results()) {
      const auto delivery = unacked.find(result.delivery_id());
      if (delivery == unacked.end()) continue;
      if (result.result() == v1::AckResult::RESULT_OK) ledger_.NoteAck(delivery->second);
      unacked.erase(delivery);
    }
  }
  // The call has a deadline of its own.
  const grpc::Status status = call.Finish();
  if (!life.ending.HasBeenNotified() &&
      status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) {
    ledger_.NoteFinding(absl::StrCat("the consumer's stream ended while the gateway was up: ",
                                     status.error_message()));
  }
}

bool Consumer::WaitUntilAllIsAcked(const Life& life, absl::Duration patience) {
  const absl::Time end = absl::Now() + patience;
  const auto stub = ConnectToSubscriptions(life.grpc);
  v1::GetSubscriptionRequest request;
  request.set_name(kSubscription);
  while (absl::Now() < end) {
    v1::GetSubscriptionResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub->GetSubscription(&context, request, &response);
    if (status.ok() && response.subscription().backlog().events() == 0) return true;
    life.over.WaitForNotificationWithTimeout(kLook);
  }
  return false;
}

}  // namespace hookgate
