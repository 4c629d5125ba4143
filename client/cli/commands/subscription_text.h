// Durable subscriptions as text. Pure. All that came from elsewhere is made Printable.
#ifndef HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_TEXT_H_
#define HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "client/cli/reader.h"
#include "google/protobuf/duration.pb.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate::cli {

// "source openai, type batch.failed or batch.expired", or "every event".
std::string FilterText(const v1::EventFilter& filter);

// "2 min", or "-" if there is none.
std::string AgeOf(bool present, const google::protobuf::Duration& age);

// What keeps it from working as one would expect, in a few words: "paused, leases full"; "-" if
// nothing does.
std::string ConditionNames(const v1::Subscription& subscription);

// What one of these SubscriptionConditions means, and what to do; "" of one that is newer than this
// build.
absl::string_view ConditionText(int condition);

// Every field on a line of its own, then its consumers.
std::string SubscriptionPage(const v1::Subscription& subscription, const Reader& reader);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_COMMANDS_SUBSCRIPTION_TEXT_H_
