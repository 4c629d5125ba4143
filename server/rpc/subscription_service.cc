#include "server/rpc/subscription_service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/base/status.h"
#include "server/delivery/subscription_settings.h"
#include "server/rpc/caller.h"
#include "server/rpc/pull_call.h"
#include "server/rpc/settings_mask.h"
#include "server/rpc/subscription_messages.h"

namespace hookgate {
namespace {

// The name of the subscription that a request is about. Where the field is called `subscription`
// and where `name`, its path says.
template <typename Request>
constexpr bool HasName() {
  return requires(const Request& request) { request.name(); };
}
template <typename Request>
const std::string& NameIn(const Request& request) {
  if constexpr (HasName<Request>()) {
    return request.name();
  } else {
    return request.subscription();
  }
}

// A name that cannot be one goes no further: neither rights nor log lines repeat it.
template <typename Request>
absl::Status CheckName(const Request& request) {
  return CheckSubscriptionName(NameIn(request), HasName<Request>() ? "name" : "subscription");
}

template <typename Request>
absl::Status MayConsume(const Caller& caller, const Request& request) {
  RETURN_IF_ERROR(CheckName(request));
  return caller.CheckConsume(NameIn(request));
}

absl::Status MayLookAt(const Caller& caller, const v1::GetSubscriptionRequest& request) {
  RETURN_IF_ERROR(CheckName(request));
  return caller.CheckInspect(request.name());
}

absl::Status MayLookAtAll(const Caller& caller, const v1::ListSubscriptionsRequest&) {
  return caller.CheckAllSubscriptions();
}

template <typename Request>
UnaryCalls::Check<Request> MayChange(absl::string_view method) {
  return [method](const Caller& caller, const Request& request) -> absl::Status {
    RETURN_IF_ERROR(MayConsume(caller, request));
    caller.LogChange(method, NameIn(request));
    return absl::OkStatus();
  };
}

// Whoever makes a subscription over sources could consume their events through it.
template <typename Request>
UnaryCalls::Check<Request> MayDefine(absl::string_view method) {
  return [method](const Caller& caller, const Request& request) -> absl::Status {
    const auto& sources = request.settings().filter().sources();
    RETURN_IF_ERROR(CheckName(request));
    RETURN_IF_ERROR(caller.CheckSources(Right::kSubscribe, sources));
    RETURN_IF_ERROR(caller.CheckConsume(request.name()));
    RETURN_IF_ERROR(caller.CheckSourcesExist(sources, "settings.filter.sources"));
    caller.LogChange(method, request.name());
    return absl::OkStatus();
  };
}

}  // namespace

SubscriptionService::SubscriptionService(const ConsumeContext& context, EventLog& log)
    : context_(context),
      calls_(context.subscriptions, log, context.executor),
      unary_(context.executor, context.gate) {}

Method SubscriptionService::Consume() {
  return {[this](std::shared_ptr<Call> call,
                 const CallInfo& info) -> absl::StatusOr<std::shared_ptr<CallHandler>> {
    auto stream =
        std::make_shared<ConsumeStream>(std::move(call), Caller(info, context_.gate), context_);
    RETURN_IF_ERROR(context_.registry.Add(stream));
    stream->Start();
    return stream;
  }};
}

Method SubscriptionService::Pull() {
  return {[this](std::shared_ptr<Call> call, const CallInfo& info) {
    return std::make_shared<PullCall>(std::move(call), Caller(info, context_.gate), context_);
  }};
}

Method SubscriptionService::Acknowledge() {
  const auto settle = [this](const v1::AcknowledgeRequest& request,
                             v1::AcknowledgeResponse& response, UnaryCalls::Finish finish) {
    const absl::Status lengths = CheckLengths(request);
    if (!lengths.ok()) return std::move(finish)(lengths);
    const auto subscription = context_.subscriptions.Find(request.subscription());
    if (!subscription.ok()) return std::move(finish)(subscription.status());
    AckItems items;
    AppendItems(request.ack(), (*subscription)->delivery_ids(), items);
    AppendItems(request.nack(), (*subscription)->delivery_ids(), items);
    AppendItems(request.extend(), (*subscription)->delivery_ids(), items);
    (*subscription)
        ->Settle(std::move(items.items),
                 [&response, ids = std::move(items.ids), finish = std::move(finish)](
                     const absl::StatusOr<std::vector<AckOutcome>>& outcomes) mutable {
                   for (size_t i = 0; outcomes.ok() && i < ids.size(); ++i) {
                     *response.add_results() = ToProto(ids[i], (*outcomes)[i]);
                   }
                   std::move(finish)(outcomes.status());
                 });
  };
  return unary_.Immediate<v1::AcknowledgeRequest, v1::AcknowledgeResponse>(
      MayConsume<v1::AcknowledgeRequest>, settle);
}

// An update that leaves the filter as it is opens nothing.
absl::Status SubscriptionService::MayUpdate(const Caller& caller,
                                            const v1::UpdateSubscriptionRequest& request) {
  if (!request.has_update_mask() || MaskHasSources(request.update_mask())) {
    return MayDefine<v1::UpdateSubscriptionRequest>("UpdateSubscription")(caller, request);
  }
  RETURN_IF_ERROR(MayConsume(caller, request));
  if (MaskHasFilter(request.update_mask())) {
    RETURN_IF_ERROR(CheckOwnSources(caller, request.name()));
  }
  caller.LogChange("UpdateSubscription", request.name());
  return absl::OkStatus();
}

// What its filter does not admit, its consumers were not given by those who made it.
absl::Status SubscriptionService::MayRedeliver(const Caller& caller,
                                               const v1::RedeliverEventsRequest& request) {
  RETURN_IF_ERROR(MayConsume(caller, request));
  if (request.include_not_admitted() || request.selection().include_not_admitted()) {
    RETURN_IF_ERROR(CheckOwnSources(caller, request.subscription()));
  }
  caller.LogChange("RedeliverEvents", request.subscription());
  return absl::OkStatus();
}

absl::Status SubscriptionService::CheckOwnSources(const Caller& caller,
                                                  const std::string& name) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<Subscription> subscription,
                   context_.subscriptions.Find(name));
  return caller.CheckSources(Right::kSubscribe,
                             subscription->GetStatus().settings.filter().sources());
}

void SubscriptionService::AddTo(MethodTable& table) {
  // What SubscriptionCalls has for a method.
  const auto read = [this](auto method) {
    return [this, method](const Caller&, const auto& request, auto& response) {
      return (calls_.*method)(request, response);
    };
  };
  const auto write = [this](auto method) {
    return [this, method](const auto& request, auto& response, UnaryCalls::Finish finish) {
      (calls_.*method)(request, response, std::move(finish));
    };
  };
  table.AddService(
      *v1::ConsumeRequest::descriptor()->file()->FindServiceByName("SubscriptionService"),
      {{"Consume", Consume()},
       {"Pull", Pull()},
       {"Acknowledge", Acknowledge()},
       {"CreateSubscription",
        unary_.Writing<v1::CreateSubscriptionRequest, v1::CreateSubscriptionResponse>(
            MayDefine<v1::CreateSubscriptionRequest>("CreateSubscription"),
            write(&SubscriptionCalls::Create))},
       {"GetSubscription", unary_.Reading<v1::GetSubscriptionRequest, v1::GetSubscriptionResponse>(
                               MayLookAt, read(&SubscriptionCalls::Get))},
       {"ListSubscriptions",
        unary_.Reading<v1::ListSubscriptionsRequest, v1::ListSubscriptionsResponse>(
            MayLookAtAll, read(&SubscriptionCalls::List))},
       {"UpdateSubscription",
        unary_.Writing<v1::UpdateSubscriptionRequest, v1::UpdateSubscriptionResponse>(
            [this](const Caller& caller, const v1::UpdateSubscriptionRequest& request) {
              return MayUpdate(caller, request);
            },
            write(&SubscriptionCalls::Update))},
       {"DeleteSubscription",
        unary_.Writing<v1::DeleteSubscriptionRequest, v1::DeleteSubscriptionResponse>(
            MayChange<v1::DeleteSubscriptionRequest>("DeleteSubscription"),
            write(&SubscriptionCalls::Delete))},
       {"SeekSubscription",
        unary_.Writing<v1::SeekSubscriptionRequest, v1::SeekSubscriptionResponse>(
            MayChange<v1::SeekSubscriptionRequest>("SeekSubscription"),
            write(&SubscriptionCalls::Seek))},
       {"ListDeliveries",
        unary_.Reading<v1::ListDeliveriesRequest, v1::ListDeliveriesResponse>(
            MayConsume<v1::ListDeliveriesRequest>, read(&SubscriptionCalls::ListDeliveries))},
       {"PauseSubscription",
        unary_.Writing<v1::PauseSubscriptionRequest, v1::PauseSubscriptionResponse>(
            MayChange<v1::PauseSubscriptionRequest>("PauseSubscription"),
            write(&SubscriptionCalls::Pause))},
       {"ResumeSubscription",
        unary_.Writing<v1::ResumeSubscriptionRequest, v1::ResumeSubscriptionResponse>(
            MayChange<v1::ResumeSubscriptionRequest>("ResumeSubscription"),
            write(&SubscriptionCalls::Resume))},
       {"ListDeadLetters",
        unary_.Reading<v1::ListDeadLettersRequest, v1::ListDeadLettersResponse>(
            MayConsume<v1::ListDeadLettersRequest>, read(&SubscriptionCalls::ListDeadLetters))},
       {"RedriveDeadLetters",
        unary_.Writing<v1::RedriveDeadLettersRequest, v1::RedriveDeadLettersResponse>(
            MayChange<v1::RedriveDeadLettersRequest>("RedriveDeadLetters"),
            write(&SubscriptionCalls::RedriveDeadLetters))},
       {"DiscardDeadLetters",
        unary_.Writing<v1::DiscardDeadLettersRequest, v1::DiscardDeadLettersResponse>(
            MayChange<v1::DiscardDeadLettersRequest>("DiscardDeadLetters"),
            write(&SubscriptionCalls::DiscardDeadLetters))},
       {"RedeliverEvents",
        unary_.Writing<v1::RedeliverEventsRequest, v1::RedeliverEventsResponse>(
            [this](const Caller& caller, const v1::RedeliverEventsRequest& request) {
              return MayRedeliver(caller, request);
            },
            write(&SubscriptionCalls::RedeliverEvents))},
       {"GetJob", unary_.Reading<v1::GetJobRequest, v1::GetJobResponse>(
                      MayConsume<v1::GetJobRequest>, read(&SubscriptionCalls::GetJob))},
       {"ListJobs", unary_.Reading<v1::ListJobsRequest, v1::ListJobsResponse>(
                        MayConsume<v1::ListJobsRequest>, read(&SubscriptionCalls::ListJobs))},
       {"CancelJob",
        unary_.Writing<v1::CancelJobRequest, v1::CancelJobResponse>(
            MayChange<v1::CancelJobRequest>("CancelJob"), write(&SubscriptionCalls::CancelJob))}});
}

}  // namespace hookgate
