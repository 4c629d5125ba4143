// Deliveries of a durable subscription as messages. As with batches, an event's bytes are those
// that were serialised at ingest (event_encoding.h).
#ifndef HOOKGATE_SERVER_DELIVERY_DELIVERY_ENCODING_H_
#define HOOKGATE_SERVER_DELIVERY_DELIVERY_ENCODING_H_

#include <string>
#include <vector>

#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/delivery_id.h"
#include "server/delivery/subscription.h"

namespace hookgate {

// What is the same for all deliveries to one receiver.
struct DeliveryFormat {
  // Both outlive the format.
  const DeliveryIds& ids;
  const EventLogHistory& history;
  bool include_raw_body = false;
};

// A serialised ConsumeResponse.
std::string EncodeDeliveriesFrame(const std::vector<Delivery>& deliveries,
                                  const DeliveryFormat& format);

hookgate::v1::Delivery ToProto(const Delivery& delivery, const DeliveryFormat& format);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_DELIVERY_ENCODING_H_
