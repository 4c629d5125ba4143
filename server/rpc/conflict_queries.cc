#include "server/rpc/conflict_queries.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_size.h"
#include "server/rpc/page_token.h"

namespace hookgate {
namespace {

using hookgate::v1::ListConflictsRequest;

constexpr int kMaxSequences = 1000;

hookgate::v1::Conflict ToProto(const ConflictEntry& entry) {
  hookgate::v1::Conflict conflict;
  conflict.set_sequence(entry.sequence);
  conflict.set_source(entry.source);
  conflict.set_webhook_id(entry.webhook_id);
  *conflict.mutable_first_receive_time() = hookgate::ToProto(entry.first_receive_time);
  *conflict.mutable_last_receive_time() = hookgate::ToProto(entry.last_receive_time);
  conflict.set_receive_count(entry.receive_count);
  conflict.set_first_body_bytes(entry.first_body_bytes);
  conflict.set_last_body_bytes(entry.last_body_bytes);
  return conflict;
}

}  // namespace

absl::Status ConflictQueries::List(const ListConflictsRequest& request,
                                   hookgate::v1::ListConflictsResponse& response) {
  ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  const uint64_t fingerprint = ListFingerprint("conflicts", request);
  int64_t before = std::numeric_limits<int64_t>::max();
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log_), fingerprint));
    before = token.after.sequence;
  }
  // One more than asked for tells whether there is another page.
  ASSIGN_OR_RETURN(const std::vector<ConflictEntry> entries,
                   conflicts_.ListConflicts(request.source(), before, page_size + 1));
  PageBytes bytes;
  int64_t last = 0;
  for (const ConflictEntry& entry : entries) {
    hookgate::v1::Conflict conflict = ToProto(entry);
    if (response.conflicts_size() == page_size || !bytes.Take(conflict)) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, PointOf(log_), fingerprint));
      break;
    }
    last = entry.touch;
    *response.add_conflicts() = std::move(conflict);
  }
  return absl::OkStatus();
}

absl::Status ConflictQueries::Get(const hookgate::v1::GetConflictRequest& request,
                                  hookgate::v1::GetConflictResponse& response) {
  ASSIGN_OR_RETURN(ConflictEntry entry, conflicts_.GetConflict(request.sequence()));
  *response.mutable_conflict() = ToProto(entry);
  response.set_first_raw_body(std::move(entry.first_body));
  response.set_last_raw_body(std::move(entry.last_body));
  return absl::OkStatus();
}

void ConflictQueries::Discard(const hookgate::v1::DiscardConflictsRequest& request,
                              hookgate::v1::DiscardConflictsResponse& response, Finish finish) {
  if (request.sequences().empty()) {
    return std::move(finish)(InvalidField("sequences", "is empty: name at least one event"));
  }
  if (request.sequences_size() > kMaxSequences) {
    return std::move(finish)(InvalidField(
        "sequences", absl::StrCat("has ", request.sequences_size(), " entries; ask for ",
                                  kMaxSequences, " at most at a time")));
  }
  DiscardNext({request, response, std::move(finish)});
}

void ConflictQueries::DiscardNext(DiscardCall call) {
  const int at = call.response.results_size();
  if (at == call.request.sequences_size()) return std::move(call.finish)(absl::OkStatus());
  const Sequence sequence = call.request.sequences(at);
  conflicts_.DiscardConflict(
      sequence, [this, sequence, call = std::move(call)](const absl::Status& discarded) mutable {
        if (!discarded.ok() && !absl::IsNotFound(discarded)) {
          return std::move(call.finish)(discarded);
        }
        auto& result = *call.response.add_results();
        result.set_sequence(sequence);
        result.set_discarded(discarded.ok());
        if (discarded.ok()) Log(Severity::kInfo, "conflict discarded", {{"sequence", sequence}});
        executor_.Post([this, call = std::move(call)]() mutable { DiscardNext(std::move(call)); });
      });
}

}  // namespace hookgate
