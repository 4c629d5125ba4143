#include "server/rpc/quarantine_queries.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/decode_event.h"
#include "server/eventlog/compose_event.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_token.h"
#include "server/trace/trace_context.h"

namespace hookgate {
namespace {

using hookgate::v1::ListQuarantinedRequest;
using hookgate::v1::RetryQuarantinedResponse;

constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;
constexpr int kMaxIds = 1000;

hookgate::v1::QuarantinedWebhook ToProto(const QuarantineEntry& entry) {
  hookgate::v1::QuarantinedWebhook webhook;
  webhook.set_id(entry.id);
  webhook.set_source(entry.webhook.source);
  webhook.set_webhook_id(entry.webhook.webhook_id);
  *webhook.mutable_webhook_time() = hookgate::ToProto(entry.webhook.webhook_time);
  *webhook.mutable_first_receive_time() = hookgate::ToProto(entry.webhook.receive_time);
  *webhook.mutable_last_receive_time() = hookgate::ToProto(entry.last_receive_time);
  webhook.set_receive_count(entry.receive_count);
  webhook.set_reason(entry.webhook.reason);
  webhook.set_detail(entry.webhook.detail);
  webhook.set_body_bytes(entry.body_bytes);
  EventTrace trace = ParseTrace(entry.webhook.trace);
  webhook.set_trace_parent(std::move(trace.trace_parent));
  webhook.set_sender_trace_parent(std::move(trace.sender_trace_parent));
  webhook.set_sender_trace_state(std::move(trace.sender_trace_state));
  return webhook;
}

template <typename Ids>
absl::Status CheckIds(const Ids& ids) {
  if (ids.empty()) return InvalidField("ids", "is empty: name at least one entry");
  if (ids.size() > kMaxIds) {
    return InvalidField("ids", absl::StrCat("has ", ids.size(), " entries; ask for ", kMaxIds,
                                            " at most at a time"));
  }
  return absl::OkStatus();
}

void NotDone(RetryQuarantinedResponse::Result& result, RetryQuarantinedResponse::Outcome outcome,
             const absl::Status& error) {
  result.set_outcome(outcome);
  result.set_reason(ReasonOf(error));
  result.set_detail(std::string(error.message()));
}

void NoteReleased(RetryQuarantinedResponse::Result& result, const AppendResult& released,
                  const std::string& source, const std::string& webhook_id,
                  const std::string& trace_parent) {
  result.set_outcome(released.outcome == AppendResult::Outcome::kStored
                         ? RetryQuarantinedResponse::OUTCOME_RELEASED
                         : RetryQuarantinedResponse::OUTCOME_STORED_BEFORE);
  result.set_sequence(released.sequence);
  Log(Severity::kInfo, "webhook released from quarantine",
      {{"id", result.id()},
       {"source", source},
       {"webhook_id", webhook_id},
       {"sequence", released.sequence},
       {"trace_id", TraceIdOf(trace_parent)}});
}

}  // namespace

absl::Status QuarantineQueries::List(const ListQuarantinedRequest& request,
                                     hookgate::v1::ListQuarantinedResponse& response) {
  if (request.page_size() < 0) return InvalidField("page_size", "is negative; 0 is the default");
  const int page_size =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  const uint64_t fingerprint = ListFingerprint("quarantine", request);
  int64_t before = std::numeric_limits<int64_t>::max();
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log_), fingerprint));
    before = token.after.sequence;
  }
  // One more than asked for tells whether there is another page.
  ASSIGN_OR_RETURN(std::vector<QuarantineEntry> entries,
                   quarantine_.ListQuarantined(request.source(), before, page_size + 1));
  if (entries.size() > static_cast<size_t>(page_size)) {
    entries.resize(static_cast<size_t>(page_size));
    response.set_next_page_token(
        FormatPageToken({.after = {.sequence = entries.back().id}}, PointOf(log_), fingerprint));
  }
  PageBytes bytes;
  int64_t last = 0;
  for (const QuarantineEntry& entry : entries) {
    hookgate::v1::QuarantinedWebhook webhook = ToProto(entry);
    if (!bytes.Take(webhook)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, PointOf(log_), fingerprint));
      break;
    }
    last = entry.id;
    *response.add_webhooks() = std::move(webhook);
  }
  return absl::OkStatus();
}

absl::Status QuarantineQueries::Get(const hookgate::v1::GetQuarantinedRequest& request,
                                    hookgate::v1::GetQuarantinedResponse& response) {
  ASSIGN_OR_RETURN(const QuarantineEntry entry, quarantine_.GetQuarantined(request.id()));
  *response.mutable_webhook() = ToProto(entry);
  response.set_raw_body(entry.webhook.raw_body);
  return absl::OkStatus();
}

void QuarantineQueries::Retry(const hookgate::v1::RetryQuarantinedRequest& request,
                              RetryQuarantinedResponse& response, Finish finish) {
  const absl::Status checked = CheckIds(request.ids());
  if (!checked.ok()) return std::move(finish)(checked);
  RetryNext({request, response, std::move(finish)});
}

void QuarantineQueries::RetryNext(RetryCall call) {
  const int at = call.response.results_size();
  if (at == call.request.ids_size()) return std::move(call.finish)(absl::OkStatus());
  const int64_t id = call.request.ids(at);
  auto& result = *call.response.add_results();
  absl::StatusOr<std::unique_ptr<StoredEvent>> event = EventOf(id, result);
  if (!event.ok()) return std::move(call.finish)(event.status());
  const auto go_on = [this](RetryCall& call) {
    executor_.Post([this, call = std::move(call)]() mutable { RetryNext(std::move(call)); });
  };
  if (*event == nullptr) return go_on(call);
  const std::string source = (*event)->source;
  const std::string webhook_id = (*event)->webhook_id;
  const std::string trace_parent = TraceParentOf((*event)->envelope);
  quarantine_.ReleaseQuarantined(
      id, *std::move(event),
      [=, &result, call = std::move(call)](const absl::StatusOr<AppendResult>& released) mutable {
        if (absl::IsNotFound(released.status())) {
          NotDone(result, RetryQuarantinedResponse::OUTCOME_NOT_FOUND, released.status());
        } else if (!released.ok()) {
          return std::move(call.finish)(released.status());
        } else {
          const bool is_new = released->outcome == AppendResult::Outcome::kStored;
          NoteReleased(result, *released, source, webhook_id,
                       is_new ? trace_parent : released->trace_parent);
        }
        go_on(call);
      });
}

absl::StatusOr<std::unique_ptr<StoredEvent>> QuarantineQueries::EventOf(
    int64_t id, RetryQuarantinedResponse::Result& result) {
  result.set_id(id);
  absl::StatusOr<QuarantineEntry> entry = quarantine_.GetQuarantined(id);
  if (absl::IsNotFound(entry.status())) {
    NotDone(result, RetryQuarantinedResponse::OUTCOME_NOT_FOUND, entry.status());
    return nullptr;
  }
  RETURN_IF_ERROR(entry.status());
  QuarantinedWebhook& webhook = entry->webhook;
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(webhook.raw_body);
  if (!decoded.ok()) {
    NotDone(result, RetryQuarantinedResponse::OUTCOME_NOT_DECODED, decoded.status());
    return nullptr;
  }
  const WebhookOrigin origin = {.source = webhook.source,
                                .webhook_id = webhook.webhook_id,
                                .webhook_time = webhook.webhook_time,
                                .receive_time = webhook.receive_time,
                                .trace = ParseTrace(webhook.trace),
                                .durability = log_.durability()};
  return ComposeEvent(*std::move(decoded), origin, std::move(webhook.raw_body));
}

void QuarantineQueries::Discard(const hookgate::v1::DiscardQuarantinedRequest& request,
                                hookgate::v1::DiscardQuarantinedResponse& response, Finish finish) {
  const absl::Status checked = CheckIds(request.ids());
  if (!checked.ok()) return std::move(finish)(checked);
  DiscardNext({request, response, std::move(finish)});
}

void QuarantineQueries::DiscardNext(DiscardCall call) {
  const int at = call.response.results_size();
  if (at == call.request.ids_size()) return std::move(call.finish)(absl::OkStatus());
  const int64_t id = call.request.ids(at);
  quarantine_.DiscardQuarantined(
      id, [this, id, call = std::move(call)](const absl::Status& discarded) mutable {
        if (!discarded.ok() && !absl::IsNotFound(discarded)) {
          return std::move(call.finish)(discarded);
        }
        auto& result = *call.response.add_results();
        result.set_id(id);
        result.set_discarded(discarded.ok());
        if (discarded.ok()) Log(Severity::kInfo, "webhook discarded from quarantine", {{"id", id}});
        executor_.Post([this, call = std::move(call)]() mutable { DiscardNext(std::move(call)); });
      });
}

}  // namespace hookgate
