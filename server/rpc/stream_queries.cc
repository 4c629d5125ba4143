#include "server/rpc/stream_queries.h"

#include <utility>

#include "server/base/status.h"
#include "server/rpc/page_bytes.h"
#include "server/rpc/page_size.h"
#include "server/rpc/page_token.h"

namespace hookgate {
namespace {

using hookgate::v1::ListStreamsRequest;

// That one page looks at, whether they are shown or not.
constexpr size_t kMaxLookedAt = 2000;

}  // namespace

absl::Status ListStreams(const StreamRegistry& registry, const EventLog& log,
                         const ListStreamsRequest& request,
                         hookgate::v1::ListStreamsResponse& response) {
  ASSIGN_OR_RETURN(const int page_size, PageSizeOf(request.page_size()));
  const uint64_t fingerprint = ListFingerprint("streams", request);
  int64_t last = 0;
  if (!request.page_token().empty()) {
    ASSIGN_OR_RETURN(const PageToken token,
                     ParsePageToken(request.page_token(), PointOf(log), fingerprint));
    last = token.after.sequence;
  }
  const auto streams = registry.After(last, kMaxLookedAt + 1);
  PageBytes bytes;
  size_t looked_at = 0;
  for (const auto& [id, stream] : streams) {
    hookgate::v1::StreamInfo info;
    info.set_id(id);
    const bool shown = stream->Describe(info) && (request.subscription().empty() ||
                                                  info.subscription() == request.subscription());
    const bool full = response.streams_size() == page_size;
    if (looked_at == kMaxLookedAt || (shown && (full || !bytes.Take(info)))) {
      response.set_next_page_token(
          FormatPageToken({.after = {.sequence = last}}, PointOf(log), fingerprint));
      break;
    }
    ++looked_at;
    last = id;
    if (shown) *response.add_streams() = std::move(info);
  }
  return absl::OkStatus();
}

}  // namespace hookgate
