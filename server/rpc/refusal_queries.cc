#include "server/rpc/refusal_queries.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/nearest.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_size.h"
#include "server/rpc/page_token.h"
#include "server/status/ingest_counters.h"

namespace hookgate {
namespace {

using hookgate::v1::ListRefusedRequest;

absl::Status NoSuchCode(const std::string& code) {
  const auto reasons = IngestCounters::RefusalReasons();
  const std::string guess = DidYouMean(code, {reasons.begin(), reasons.end()});
  return InvalidField("code", absl::StrCat("is nothing that a webhook is refused for", guess,
                                           guess.empty() ? "; the codes are: " : " The codes are: ",
                                           absl::StrJoin(reasons, ", ")));
}

absl::StatusOr<RefusedRequests::Query> QueryOf(const ListRefusedRequest& request) {
  RefusedRequests::Query query;
  query.source = request.source();
  query.address = request.address();
  query.webhook_id = request.webhook_id();
  // Errors over gRPC have them in capitals.
  query.code = absl::AsciiStrToLower(request.code());
  if (!query.code.empty() && !IngestCounters::IsRefusal(query.code)) return NoSuchCode(query.code);
  if (request.has_since_time()) {
    ASSIGN_OR_RETURN(query.since, FromProto(request.since_time(), "since_time"));
  }
  return query;
}

}  // namespace

hookgate::v1::RefusedRequest ToProto(const RefusedRequest& refused) {
  hookgate::v1::RefusedRequest proto;
  proto.set_source(refused.source);
  proto.set_path(refused.path);
  proto.set_peer_address(refused.peer);
  proto.set_client_address(refused.client);
  proto.set_code(refused.code);
  proto.set_detail(refused.detail);
  proto.set_webhook_id(refused.webhook_id);
  for (const RefusedRequest::Header& header : refused.headers) {
    auto& added = *proto.add_headers();
    added.set_name(header.name);
    added.set_bytes(header.bytes);
  }
  proto.set_header_count(refused.header_count);
  proto.set_count(refused.count);
  *proto.mutable_first_time() = ToProto(refused.first_time);
  *proto.mutable_last_time() = ToProto(refused.last_time);
  return proto;
}

absl::Status ListRefused(const RefusedRequests& refused, const EventLog& log,
                         const ListRefusedRequest& request,
                         hookgate::v1::ListRefusedResponse& response) {
  ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  ASSIGN_OR_RETURN(RefusedRequests::Query query, QueryOf(request));
  const uint64_t fingerprint = ListFingerprint("refused", request);
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log), fingerprint));
    query.before = token.after.sequence;
  }
  query.max_entries = static_cast<size_t>(page_size) + 1;  // One more: is there another page?
  response.set_max_remembered(static_cast<int64_t>(refused.max_entries()));
  PageBytes bytes;
  int64_t last = 0;
  for (const RefusedRequestPtr& entry : refused.List(query)) {
    hookgate::v1::RefusedRequest proto = ToProto(*entry);
    if (response.requests_size() == page_size || !bytes.Take(proto)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, PointOf(log), fingerprint));
      break;
    }
    last = entry->number;
    *response.add_requests() = std::move(proto);
  }
  return absl::OkStatus();
}

}  // namespace hookgate
