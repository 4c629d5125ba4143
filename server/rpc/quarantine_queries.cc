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
  return webhook;
}

uint64_t FingerprintOf(ListQuarantinedRequest request) {
  request.clear_page_size();
  request.clear_page_token();
  return RequestFingerprint(absl::StrCat("quarantine ", request.SerializeAsString()));
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

}  // namespace

absl::Status QuarantineQueries::List(const ListQuarantinedRequest& request,
                                     hookgate::v1::ListQuarantinedResponse& response) {
  if (request.page_size() < 0) return InvalidField("page_size", "is negative; 0 is the default");
  const int page_size =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  const uint64_t fingerprint = FingerprintOf(request);
  int64_t before = std::numeric_limits<int64_t>::max();
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), epoch_, fingerprint));
    before = token.after.sequence;
  }
  // One more than asked for tells whether there is another page.
  ASSIGN_OR_RETURN(std::vector<QuarantineEntry> entries,
                   quarantine_.ListQuarantined(request.source(), before, page_size + 1));
  if (entries.size() > static_cast<size_t>(page_size)) {
    entries.resize(static_cast<size_t>(page_size));
    response.set_next_page_token(
        FormatPageToken({.after = {.sequence = entries.back().id}}, epoch_, fingerprint));
  }
  PageBytes bytes;
  int64_t last = 0;
  for (const QuarantineEntry& entry : entries) {
    hookgate::v1::QuarantinedWebhook webhook = ToProto(entry);
    if (!bytes.Take(webhook)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, epoch_, fingerprint));
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

absl::Status QuarantineQueries::Retry(const hookgate::v1::RetryQuarantinedRequest& request,
                                      RetryQuarantinedResponse& response) {
  RETURN_IF_ERROR(CheckIds(request.ids()));
  for (const int64_t id : request.ids()) RETURN_IF_ERROR(RetryOne(id, *response.add_results()));
  return absl::OkStatus();
}

// An error is the log's; what is wrong with the entry alone is in `result`.
absl::Status QuarantineQueries::RetryOne(int64_t id, RetryQuarantinedResponse::Result& result) {
  result.set_id(id);
  const auto not_done = [&result](RetryQuarantinedResponse::Outcome outcome,
                                  const absl::Status& error) {
    result.set_outcome(outcome);
    result.set_reason(ReasonOf(error));
    result.set_detail(std::string(error.message()));
    return absl::OkStatus();
  };
  absl::StatusOr<QuarantineEntry> entry = quarantine_.GetQuarantined(id);
  if (absl::IsNotFound(entry.status())) {
    return not_done(RetryQuarantinedResponse::OUTCOME_NOT_FOUND, entry.status());
  }
  RETURN_IF_ERROR(entry.status());
  QuarantinedWebhook& webhook = entry->webhook;
  absl::StatusOr<DecodedEvent> decoded = DecodeEvent(webhook.raw_body);
  if (!decoded.ok()) {
    return not_done(RetryQuarantinedResponse::OUTCOME_NOT_DECODED, decoded.status());
  }
  const WebhookOrigin origin = {webhook.source, webhook.webhook_id, webhook.webhook_time,
                                webhook.receive_time};
  const absl::StatusOr<AppendResult> released = quarantine_.ReleaseQuarantined(
      id, ComposeEvent(*std::move(decoded), origin, std::move(webhook.raw_body)));
  if (absl::IsNotFound(released.status())) {
    return not_done(RetryQuarantinedResponse::OUTCOME_NOT_FOUND, released.status());
  }
  RETURN_IF_ERROR(released.status());
  result.set_outcome(released->outcome == AppendResult::Outcome::kStored
                         ? RetryQuarantinedResponse::OUTCOME_RELEASED
                         : RetryQuarantinedResponse::OUTCOME_STORED_BEFORE);
  result.set_sequence(released->sequence);
  Log(Severity::kInfo, "webhook released from quarantine",
      {{"id", id},
       {"source", origin.source},
       {"webhook_id", origin.webhook_id},
       {"sequence", released->sequence}});
  return absl::OkStatus();
}

absl::Status QuarantineQueries::Discard(const hookgate::v1::DiscardQuarantinedRequest& request,
                                        hookgate::v1::DiscardQuarantinedResponse& response) {
  RETURN_IF_ERROR(CheckIds(request.ids()));
  for (const int64_t id : request.ids()) {
    absl::Status discarded = quarantine_.DiscardQuarantined(id);
    if (!discarded.ok() && !absl::IsNotFound(discarded)) return discarded;
    auto& result = *response.add_results();
    result.set_id(id);
    result.set_discarded(discarded.ok());
    if (discarded.ok()) Log(Severity::kInfo, "webhook discarded from quarantine", {{"id", id}});
  }
  return absl::OkStatus();
}

}  // namespace hookgate
