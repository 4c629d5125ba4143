#include "server/rpc/event_queries.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/event_encoding.h"
#include "server/delivery/event_filter.h"
#include "server/rpc/page_token.h"

namespace hookgate {
namespace {

using hookgate::v1::GetEventRequest;
using hookgate::v1::GetEventResponse;
using hookgate::v1::ListEventsRequest;
using hookgate::v1::ListEventsResponse;
using hookgate::v1::ListRecentFailuresRequest;
using hookgate::v1::ListRecentFailuresResponse;

constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;
constexpr int64_t kMaxPageBytes = 1 << 20;  // A gRPC client takes 4 MiB by default.
constexpr int64_t kMaxScanned = 5'000;      // Bounds the work of a call whose filter admits little.
constexpr int64_t kMaxCount = 4'000;        // To count more would be most of a first page's time.
constexpr absl::Duration kRecent = absl::Hours(24);

// A list request, checked and with its defaults filled in.
struct ListPlan {
  EventFilter filter;
  ListQuery query;
  ReadLimits limits;
  uint64_t fingerprint = 0;
};

template <typename Request>
uint64_t FingerprintOf(Request request) {
  request.clear_include_raw_body();
  return ListFingerprint(Request::descriptor()->name(), std::move(request));
}

template <typename Request>
absl::StatusOr<ReadLimits> LimitsOf(const Request& request) {
  if (request.page_size() < 0) return InvalidField("page_size", "is negative; 0 is the default");
  ReadLimits limits;
  limits.max_events =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  limits.max_bytes = kMaxPageBytes;
  limits.max_scanned = kMaxScanned;
  limits.include_raw_body = request.include_raw_body();
  return limits;
}

// What the first page of a request looks at. The end is fixed here, at now if the request has none.
template <typename Request>
absl::Status SetWindow(const Request& request, absl::Time now, ListQuery& query) {
  query.end = now;
  if (request.has_end_time()) {
    ASSIGN_OR_RETURN(query.end, FromProto(request.end_time(), "end_time"));
  }
  if (request.has_start_time()) {
    ASSIGN_OR_RETURN(query.start, FromProto(request.start_time(), "start_time"));
    if (query.start > query.end) {
      return InvalidField("start_time",
                          "is after the end of the window (end_time, by default now)");
    }
  }
  return absl::OkStatus();
}

template <typename Request>
absl::StatusOr<ListPlan> MakePlan(const Request& request, const EventLog& log, absl::Time now) {
  ListPlan plan;
  ASSIGN_OR_RETURN(plan.filter, EventFilter::Create(request.filter()));
  ASSIGN_OR_RETURN(plan.limits, LimitsOf(request));
  plan.fingerprint = FingerprintOf(request);
  if (request.page_token().empty()) {
    RETURN_IF_ERROR(SetWindow(request, now, plan.query));
  } else {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log), plan.fingerprint));
    plan.query.start = token.start;
    plan.query.end = token.end;
    plan.query.after = token.after;
  }
  return plan;
}

// Fills what the two list responses share.
template <typename Response>
absl::Status RunPlan(const ListPlan& plan, EventLog& log, Response& response) {
  const auto matches = [&plan](const StoredEvent& event) { return plan.filter.Matches(event); };
  ASSIGN_OR_RETURN(const ListPage page, log.List(plan.query, matches, plan.limits));
  for (const StoredEventPtr& event : page.events) {
    *response.add_events() = ToProto(*event, log.history(), plan.limits.include_raw_body);
  }
  if (page.next.has_value()) {
    response.set_next_page_token(FormatPageToken({plan.query.start, plan.query.end, *page.next},
                                                 PointOf(log), plan.fingerprint));
  }
  return absl::OkStatus();
}

absl::Status NoSuchEvent(Sequence sequence) {
  return ErrorWithReason(absl::StatusCode::kNotFound, reason::kEventNotFound,
                         absl::StrCat("there is no event with sequence ", sequence,
                                      ": never stored, or removed by retention"));
}

}  // namespace

absl::Status EventQueries::ListRecentFailures(const ListRecentFailuresRequest& request,
                                              ListRecentFailuresResponse& response) {
  ASSIGN_OR_RETURN(ListPlan plan, MakePlan(request, log_, clock_.WallNow()));
  plan.query.failures_only = true;
  if (plan.query.start == absl::InfinitePast()) plan.query.start = plan.query.end - kRecent;
  RETURN_IF_ERROR(RunPlan(plan, log_, response));
  const auto matches = [&plan](const StoredEvent& event) { return plan.filter.Matches(event); };
  absl::optional<EventPredicate> counted;
  if (!plan.filter.key().empty()) counted.emplace(matches);
  ASSIGN_OR_RETURN(const EventCount total, log_.CountFailures(plan.query, counted, kMaxCount));
  response.set_total_count(static_cast<int32_t>(total.count));
  response.set_total_count_truncated(total.truncated);
  return absl::OkStatus();
}

absl::Status EventQueries::ListEvents(const ListEventsRequest& request,
                                      ListEventsResponse& response) {
  if (!hookgate::v1::Order_IsValid(request.order())) {
    return InvalidField("order", "must be ORDER_NEWEST_FIRST or ORDER_OLDEST_FIRST");
  }
  ASSIGN_OR_RETURN(ListPlan plan, MakePlan(request, log_, clock_.WallNow()));
  plan.query.newest_first = request.order() != hookgate::v1::ORDER_OLDEST_FIRST;
  return RunPlan(plan, log_, response);
}

absl::Status EventQueries::GetEvent(const GetEventRequest& request, GetEventResponse& response,
                                    absl::FunctionRef<bool(const std::string& source)> may_query) {
  absl::StatusOr<StoredEventPtr> event;
  switch (request.key_case()) {
    case GetEventRequest::kSequence:
      event = log_.Get(request.sequence());
      if (absl::IsNotFound(event.status()) || (event.ok() && !may_query((*event)->source))) {
        return NoSuchEvent(request.sequence());
      }
      break;
    case GetEventRequest::kWebhook:
      event = log_.Find(request.webhook().source(), request.webhook().webhook_id());
      break;
    case GetEventRequest::KEY_NOT_SET:
      return InvalidField("key", "is missing: set sequence or webhook");
  }
  RETURN_IF_ERROR(event.status());
  *response.mutable_event() = ToProto(**event, log_.history(), request.include_raw_body());
  return absl::OkStatus();
}

}  // namespace hookgate
