#include "server/rpc/delivery_messages.h"

#include <algorithm>
#include <limits>

#include "server/base/proto_time.h"

namespace hookgate {
namespace {

v1::DeliveryAttempt AttemptProto(const DeliveryExplanation::Attempt& attempt) {
  v1::DeliveryAttempt proto;
  proto.set_attempt(attempt.number);
  proto.set_consumer(attempt.consumer);
  *proto.mutable_begin_time() = ToProto(attempt.begin);
  if (attempt.end.has_value()) *proto.mutable_end_time() = ToProto(*attempt.end);
  if (attempt.how.has_value()) proto.set_end(static_cast<v1::DeliveryEnd>(*attempt.how));
  proto.set_reason(attempt.reason);
  return proto;
}

}  // namespace

// The enums have the numbers of the protocol.
v1::EventDelivery ToProto(const DeliveryExplanation& explanation) {
  v1::EventDelivery proto;
  proto.set_state(static_cast<v1::DeliveryState>(explanation.state));
  if (explanation.state_time.has_value()) {
    *proto.mutable_state_time() = ToProto(*explanation.state_time);
  }
  if (explanation.filtered_by.has_value()) {
    proto.set_filtered_by(static_cast<v1::FilterList>(*explanation.filtered_by));
  }
  proto.set_consumer(explanation.consumer);
  proto.set_attempt(explanation.attempt);
  if (explanation.until.has_value()) *proto.mutable_until_time() = ToProto(*explanation.until);
  if (explanation.last_end.has_value()) {
    proto.set_last_end(static_cast<v1::DeliveryEnd>(*explanation.last_end));
  }
  proto.set_reason(explanation.reason);
  proto.set_lost_deliveries(explanation.lost_deliveries);
  for (const DeliveryExplanation::Attempt& attempt : explanation.attempts) {
    *proto.add_attempts() = AttemptProto(attempt);
  }
  proto.set_delivery_count(static_cast<int32_t>(
      std::min<int64_t>(explanation.delivery_count, std::numeric_limits<int32_t>::max())));
  if (explanation.first_delivery_time.has_value()) {
    *proto.mutable_first_delivery_time() = ToProto(*explanation.first_delivery_time);
  }
  return proto;
}

}  // namespace hookgate
