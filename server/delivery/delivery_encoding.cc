#include "server/delivery/delivery_encoding.h"

#include "absl/strings/string_view.h"
#include "google/protobuf/timestamp.pb.h"
#include "server/base/proto_time.h"
#include "server/delivery/delivery_id.h"
#include "server/delivery/event_encoding.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeResponse;

// What a delivery has beside its event, usually; and more than the head of a field has.
constexpr size_t kBytesBesideEvent = 256;

hookgate::v1::DeliveryReason ReasonFor(DeliveryCause cause) {
  switch (cause) {
    case DeliveryCause::kNew:
      return hookgate::v1::DELIVERY_REASON_NEW;
    case DeliveryCause::kNacked:
      return hookgate::v1::DELIVERY_REASON_NACKED;
    case DeliveryCause::kDeadlinePassed:
      return hookgate::v1::DELIVERY_REASON_DEADLINE_PASSED;
    case DeliveryCause::kStreamEnded:
      return hookgate::v1::DELIVERY_REASON_STREAM_ENDED;
    case DeliveryCause::kGatewayRestarted:
      return hookgate::v1::DELIVERY_REASON_GATEWAY_RESTARTED;
    case DeliveryCause::kRedriven:
      return hookgate::v1::DELIVERY_REASON_REDRIVEN;
    case DeliveryCause::kStreamLost:
      return hookgate::v1::DELIVERY_REASON_STREAM_LOST;
    case DeliveryCause::kReplayed:
      return hookgate::v1::DELIVERY_REASON_REPLAYED;
    case DeliveryCause::kConsumerDecided:
      break;
  }
  return hookgate::v1::DELIVERY_REASON_UNSPECIFIED;
}

void AppendText(int field, absl::string_view text, std::string& out) {
  AppendFieldHead(field, text.size(), out);
  out.append(text.data(), text.size());
}

// The bytes of WithoutEvent, put together by hand: a message with its strings would take as long as
// all else that is done for a delivery here.
void AppendWithoutEvent(const Lease& lease, const DeliveryIds& ids, std::string& out) {
  using Proto = hookgate::v1::Delivery;
  using google::protobuf::Timestamp;
  char id[kMaxDeliveryIdBytes];
  const char* const id_end = FormatDeliveryIdTo(id, ids, lease.id);
  AppendText(Proto::kDeliveryIdFieldNumber, {id, static_cast<size_t>(id_end - id)}, out);
  AppendNumberField(Proto::kAttemptFieldNumber, static_cast<uint64_t>(lease.attempt), out);
  const Timestamp expire_time = ToProto(lease.expire_time);
  std::string time;  // no longer than what a string holds in itself
  AppendNumberField(Timestamp::kSecondsFieldNumber, static_cast<uint64_t>(expire_time.seconds()),
                    time);
  AppendNumberField(Timestamp::kNanosFieldNumber, static_cast<uint64_t>(expire_time.nanos()), time);
  AppendText(Proto::kLeaseExpireTimeFieldNumber, time, out);
  AppendNumberField(Proto::kReasonFieldNumber, static_cast<uint64_t>(ReasonFor(lease.cause)), out);
  if (!lease.nack_reason.empty()) {
    AppendText(Proto::kNackReasonFieldNumber, lease.nack_reason, out);
  }
  AppendNumberField(Proto::kLostDeliveriesFieldNumber, static_cast<uint64_t>(lease.lost_deliveries),
                    out);
}

hookgate::v1::Delivery WithoutEvent(const Lease& lease, const DeliveryIds& ids) {
  hookgate::v1::Delivery proto;
  proto.set_delivery_id(FormatDeliveryId(ids, lease.id));
  proto.set_attempt(lease.attempt);
  *proto.mutable_lease_expire_time() = ToProto(lease.expire_time);
  proto.set_reason(ReasonFor(lease.cause));
  proto.set_nack_reason(lease.nack_reason);
  proto.set_lost_deliveries(lease.lost_deliveries);
  return proto;
}

}  // namespace

std::string EncodeDeliveriesFrame(const std::vector<Delivery>& deliveries,
                                  const DeliveryFormat& format) {
  size_t bytes = 0;  // about, so that what is put together is not copied as it grows
  for (const Delivery& delivery : deliveries) {
    const EventContent& event = delivery.event->content();
    bytes += event.envelope.size() + (format.include_raw_body ? event.raw_body.size() : 0) +
             kBytesBesideEvent;
  }
  std::string elements;
  elements.reserve(bytes);
  std::string element;
  for (const Delivery& delivery : deliveries) {
    element.clear();
    AppendWithoutEvent(delivery.lease, format.ids, element);
    AppendEventField(hookgate::v1::Delivery::kEventFieldNumber, delivery.event->content(),
                     format.history, format.include_raw_body, element);
    AppendFieldHead(ConsumeResponse::Deliveries::kDeliveriesFieldNumber, element.size(), elements);
    elements += element;
  }
  std::string frame;
  frame.reserve(elements.size() + kBytesBesideEvent);
  AppendFieldHead(ConsumeResponse::kDeliveriesFieldNumber, elements.size(), frame);
  frame += elements;
  return frame;
}

hookgate::v1::Delivery ToProto(const Delivery& delivery, const DeliveryFormat& format) {
  hookgate::v1::Delivery proto = WithoutEvent(delivery.lease, format.ids);
  *proto.mutable_event() = ToProto(*delivery.event, format.history, format.include_raw_body);
  return proto;
}

}  // namespace hookgate
