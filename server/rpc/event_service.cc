#include "server/rpc/event_service.h"

#include <memory>
#include <string>
#include <utility>

#include "hookgate/v1/event_service.pb.h"
#include "server/base/status.h"
#include "server/rpc/caller.h"

namespace hookgate {
namespace {

using hookgate::v1::Absence;
using hookgate::v1::ExplainEventRequest;
using hookgate::v1::ExplainEventResponse;
using hookgate::v1::GetEventRequest;
using hookgate::v1::GetEventResponse;
using hookgate::v1::ListEventsRequest;
using hookgate::v1::ListEventsResponse;
using hookgate::v1::ListRecentFailuresRequest;
using hookgate::v1::ListRecentFailuresResponse;

template <typename Request>
absl::Status MayQuery(const Caller& caller, const Request& request) {
  return caller.CheckSources(Right::kQuery, request.filter().sources());
}

// Of an event known by its sequence alone, only the log can tell the source.
absl::Status MayGetEvent(const Caller& caller, const GetEventRequest& request) {
  if (!request.has_webhook()) return absl::OkStatus();
  return caller.CheckSource(Right::kQuery, request.webhook().source());
}

// Nothing found may mean a typo in a source. Events of a source that the config no longer names are
// found as long as there are any.
template <typename Request, typename Response>
absl::Status CheckFound(const Caller& caller, const Request& request, const Response& response) {
  if (!response.events().empty() || !response.next_page_token().empty()) return absl::OkStatus();
  return caller.CheckSourcesExist(request.filter().sources(), "filter.sources");
}

absl::Status GetEvent(EventQueries& queries, const Caller& caller, const GetEventRequest& request,
                      GetEventResponse& response) {
  const absl::Status found = queries.GetEvent(
      request, response,
      [&caller](const std::string& source) { return caller.HasRight(Right::kQuery, source); });
  if (!absl::IsNotFound(found) || !request.has_webhook()) return found;
  const absl::Status exists =
      caller.CheckSourceExists(request.webhook().source(), "webhook.source");
  return exists.ok() ? found : exists;
}

// Of an event known by its sequence or a text, only the log can tell the source.
absl::Status MayExplainEvent(const Caller& caller, const ExplainEventRequest& request) {
  if (!request.has_webhook()) return absl::OkStatus();
  return caller.CheckSource(Right::kQuery, request.webhook().source());
}

absl::Status ExplainEvent(const ExplainQueries& queries, const Caller& caller,
                          const ExplainEventRequest& request, ExplainEventResponse& response) {
  const auto may_query = [&caller](const std::string& source) {
    return caller.HasRight(Right::kQuery, source);
  };
  const auto may_look_at = [&caller](const std::string& subscription) {
    return caller.HasInspectRight(subscription);
  };
  RETURN_IF_ERROR(queries.Explain(request, {may_query, may_look_at, caller.IsAdmin()}, response));
  if (!request.has_webhook() || response.absence().cause() != Absence::CAUSE_NEVER_SEEN) {
    return absl::OkStatus();
  }
  return caller.CheckSourceExists(request.webhook().source(), "webhook.source");
}

}  // namespace

EventService::EventService(const StreamContext& context, const ExplainContext& explain)
    : context_(std::make_shared<const StreamContext>(context)),
      callers_(context.gate),
      queries_(context.log, context.clock),
      explain_(explain),
      calls_(context.executor, context.gate) {}

void EventService::AddTo(MethodTable& table) {
  const auto subscribe = [this](std::shared_ptr<Call> call, const CallInfo& info) {
    return std::make_shared<SubscribeStream>(std::move(call), callers_.Share(info), context_);
  };
  const auto list_failures = [this](const Caller& caller, const ListRecentFailuresRequest& request,
                                    ListRecentFailuresResponse& response) -> absl::Status {
    RETURN_IF_ERROR(queries_.ListRecentFailures(request, response));
    return CheckFound(caller, request, response);
  };
  const auto list_events = [this](const Caller& caller, const ListEventsRequest& request,
                                  ListEventsResponse& response) -> absl::Status {
    RETURN_IF_ERROR(queries_.ListEvents(request, response));
    return CheckFound(caller, request, response);
  };
  const auto get_event = [this](const Caller& caller, const GetEventRequest& request,
                                GetEventResponse& response) {
    return GetEvent(queries_, caller, request, response);
  };
  const auto explain_event = [this](const Caller& caller, const ExplainEventRequest& request,
                                    ExplainEventResponse& response) {
    return ExplainEvent(explain_, caller, request, response);
  };
  table.AddService(
      *GetEventRequest::descriptor()->file()->FindServiceByName("EventService"),
      {{"Subscribe", {subscribe}},
       {"ListRecentFailures", calls_.Reading<ListRecentFailuresRequest, ListRecentFailuresResponse>(
                                  MayQuery<ListRecentFailuresRequest>, list_failures)},
       {"ListEvents", calls_.Reading<ListEventsRequest, ListEventsResponse>(
                          MayQuery<ListEventsRequest>, list_events)},
       {"GetEvent", calls_.Reading<GetEventRequest, GetEventResponse>(MayGetEvent, get_event)},
       {"ExplainEvent", calls_.Reading<ExplainEventRequest, ExplainEventResponse>(MayExplainEvent,
                                                                                  explain_event)}});
}

}  // namespace hookgate
