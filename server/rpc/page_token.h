// Where the next page of a list begins, as clients carry it: opaque, bound to the log and the
// request.
#ifndef HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_
#define HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

struct PageToken {
  // The window as the first page had it, so that "until now" means the same on every page.
  absl::Time start;
  absl::Time end;
  TimePosition after;
};

// Stands for everything in a request that must not change between pages.
uint64_t RequestFingerprint(absl::string_view request_bytes);

std::string FormatPageToken(const PageToken& token, absl::string_view epoch, uint64_t fingerprint);

// Errors: InvalidField "page_token" if it is none, or of another log or request.
absl::StatusOr<PageToken> ParsePageToken(absl::string_view text, absl::string_view epoch,
                                         uint64_t fingerprint);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_PAGE_TOKEN_H_
