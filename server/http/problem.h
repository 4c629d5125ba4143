// The one place where an absl::Status becomes an HTTP answer: a problem document (RFC 9457).
//
//   {"type":"about:blank","title":"Unauthorized","status":401,
//    "code":"signature_mismatch","detail":"..."}
#ifndef HOOKGATE_SERVER_HTTP_PROBLEM_H_
#define HOOKGATE_SERVER_HTTP_PROBLEM_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/http/http_handler.h"

namespace hookgate {

// `code` is the reason of `error` (base/reason.h), which also decides the HTTP status; an error
// without one is answered by its status code, with an empty `code`. 429 and 503 carry Retry-After:
// the metadata retry_after_seconds, or a few seconds.
HttpResponse ToHttpResponse(const absl::Status& error);

// The error behind what the connection layer refuses.
absl::Status RefusalError(HttpRefusal refusal, absl::string_view detail);

// How long `error` asks the sender to wait: sets the metadata that ToHttpResponse reads, rounded up
// to a second.
void SetRetryAfter(absl::Status& error, absl::Duration delay);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_HTTP_PROBLEM_H_
