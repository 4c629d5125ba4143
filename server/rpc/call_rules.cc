#include "server/rpc/call_rules.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

const std::map<absl::string_view, std::vector<Right>>& Rules() {
  static const auto* const kRules = new std::map<absl::string_view, std::vector<Right>>{
      {"/hookgate.v1.EventService/Subscribe", {Right::kSubscribe}},
      {"/hookgate.v1.EventService/ListRecentFailures", {Right::kQuery}},
      {"/hookgate.v1.EventService/ListEvents", {Right::kQuery}},
      {"/hookgate.v1.EventService/GetEvent", {Right::kQuery}},
      {"/hookgate.v1.EventService/ExplainEvent", {Right::kQuery}},
      {"/hookgate.v1.SubscriptionService/CreateSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/GetSubscription", {Right::kConsume, Right::kAdmin}},
      {"/hookgate.v1.SubscriptionService/ListSubscriptions", {Right::kConsume, Right::kAdmin}},
      {"/hookgate.v1.SubscriptionService/UpdateSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/DeleteSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/SeekSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/PauseSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/ResumeSubscription", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/Consume", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/Pull", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/Acknowledge", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/ListDeliveries", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/ListDeadLetters", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/RedriveDeadLetters", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/DiscardDeadLetters", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/RedeliverEvents", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/GetJob", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/ListJobs", {Right::kConsume}},
      {"/hookgate.v1.SubscriptionService/CancelJob", {Right::kConsume}},
      {"/hookgate.v1.AdminService/GetStatus", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/ListQuarantined", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/GetQuarantined", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/RetryQuarantined", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/DiscardQuarantined", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/ListRefused", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/ListStreams", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/ListConflicts", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/GetConflict", {Right::kAdmin}},
      {"/hookgate.v1.AdminService/DiscardConflicts", {Right::kAdmin}},
  };
  return *kRules;
}

}  // namespace

absl::Status CheckCall(const AccessPolicy& policy, const Credentials& credentials,
                       absl::string_view path) {
  if (policy.open() || absl::StartsWith(path, "/grpc.health.v1.Health/")) return absl::OkStatus();
  RETURN_IF_ERROR(policy.Identify(credentials).status());
  if (absl::StartsWith(path, "/grpc.reflection.")) return absl::OkStatus();
  const auto rule = Rules().find(path);
  if (rule == Rules().end()) {
    return ErrorWithReason(absl::StatusCode::kPermissionDenied, reason::kMissingRight,
                           absl::StrCat("no right allows ", path.substr(0, 200)));
  }
  absl::Status denied;
  for (const Right right : rule->second) {
    absl::Status status = policy.CheckAny(credentials, right);
    if (status.ok()) return status;
    denied.Update(status);  // The first one names what the method is for.
  }
  return denied;
}

}  // namespace hookgate
