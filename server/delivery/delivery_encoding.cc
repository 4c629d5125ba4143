#include "server/delivery/delivery_encoding.h"

#include "server/base/proto_time.h"
#include "server/delivery/delivery_id.h"
#include "server/delivery/event_encoding.h"

namespace hookgate {
namespace {

using hookgate::v1::ConsumeResponse;

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
  std::string elements;
  std::string element;
  for (const Delivery& delivery : deliveries) {
    element = WithoutEvent(delivery.lease, format.ids).SerializeAsString();
    AppendEventField(hookgate::v1::Delivery::kEventFieldNumber, delivery.event->content(),
                     format.history, format.include_raw_body, element);
    AppendFieldHead(ConsumeResponse::Deliveries::kDeliveriesFieldNumber, element.size(), elements);
    elements += element;
  }
  std::string frame;
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
