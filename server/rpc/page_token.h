// Where the next page of a list begins, as clients carry it: opaque, bound to the log, its history
// and the request. A token that was copied wrongly is refused, and never skips anything: it carries
// a checksum. That is no secret; who makes tokens up sees nothing that the request would not show.
#ifndef HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_
#define HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/event_log_history.h"

namespace hookgate {

struct PageToken {
  // The window as the first page had it, so that "until now" means the same on every page.
  absl::Time start;
  absl::Time end;
  TimePosition after;
};

// Stands for everything in a request that must not change between pages.
uint64_t RequestFingerprint(absl::string_view request_bytes);

// That of a request for a page of `list`. Requests of two lists may be the same bytes: the name
// keeps a token of one from beginning the other in its middle.
template <typename Request>
uint64_t ListFingerprint(absl::string_view list, Request request) {
  request.clear_page_size();
  request.clear_page_token();
  return RequestFingerprint(absl::StrCat(list, " ", request.SerializeAsString()));
}

// Where a log is when a page of it is listed.
struct LogPoint {
  const EventLogHistory& history;
  Sequence head = 0;
};
LogPoint PointOf(const EventLog& log);

// The token carries the point as well, and thereby proves that the pages before were of what this
// log still is: it was not put back to an older state in between.
std::string FormatPageToken(const PageToken& token, const LogPoint& point, uint64_t fingerprint);

// Errors: InvalidField "page_token" if it is none, or of another request, log or history. Those of
// Hookgate 0.1, which carry neither a point nor a checksum, are none any more: they are of minutes.
absl::StatusOr<PageToken> ParsePageToken(absl::string_view text, const LogPoint& point,
                                         uint64_t fingerprint);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_
