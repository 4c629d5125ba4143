// Between the messages of SubscriptionService and what a Subscription takes and tells.
#ifndef HOOKGATE_SERVER_RPC_SUBSCRIPTION_MESSAGES_H_
#define HOOKGATE_SERVER_RPC_SUBSCRIPTION_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/repeated_field.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/subscription.h"

namespace hookgate {

// Items in the order of the request, and the ids as it named them.
struct AckItems {
  std::vector<AckItem> items;
  std::vector<std::string> ids;
};

// What Acknowledge takes: at most 10,000 items in each list. InvalidField of the list otherwise.
absl::Status CheckLengths(const hookgate::v1::AcknowledgeRequest& request);

// In a frame of Consume at most 10,000 items mean something; those after are of no known delivery.
void AppendItems(const hookgate::v1::Ack& ack, const DeliveryIds& ids, AckItems& out);
void AppendItems(const hookgate::v1::Nack& nack, const DeliveryIds& ids, AckItems& out);
void AppendItems(const hookgate::v1::Extend& extend, const DeliveryIds& ids, AckItems& out);

hookgate::v1::AckResult ToProto(std::string id, AckOutcome outcome);
hookgate::v1::Backlog ToProto(const Backlog& backlog);

void AddConditions(const std::vector<SubscriptionCondition>& conditions,
                   google::protobuf::RepeatedField<int>& out);

// All about it. May read the log.
hookgate::v1::Subscription Describe(Subscription& subscription);

// Without its event.
hookgate::v1::DeadLetter ToProto(const DeadEvent& dead);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_SUBSCRIPTION_MESSAGES_H_
