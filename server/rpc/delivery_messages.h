// Where events are for durable subscriptions, as messages.
#ifndef HOOKGATE_SERVER_RPC_DELIVERY_MESSAGES_H_
#define HOOKGATE_SERVER_RPC_DELIVERY_MESSAGES_H_

#include "hookgate/v1/event_delivery.pb.h"
#include "server/delivery/explain_delivery.h"

namespace hookgate {

hookgate::v1::EventDelivery ToProto(const DeliveryExplanation& explanation);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_DELIVERY_MESSAGES_H_
