// What a webhook request says beside its body: where it goes, and the headers that sign it.
#ifndef HOOKGATE_SERVER_INGEST_WEBHOOK_REQUEST_H_
#define HOOKGATE_SERVER_INGEST_WEBHOOK_REQUEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/http/http_handler.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate {

// The source that `target` names: "openai" of "/webhooks/openai", "/webhooks/openai/" and
// "/webhooks/openai?x=y". NOT_FOUND not_found if it is no such path.
absl::StatusOr<absl::string_view> SourceNameOf(absl::string_view target);

// Whether a Content-Encoding other than identity is there.
bool IsEncoded(const HttpHead& head);

// "; ..." about the Content-Type of a body that is not JSON, if that says it was never meant to be:
// a form, multipart or XML. Otherwise "".
absl::string_view ContentTypeProblem(const HttpHead& head);

// The webhook-* headers, or the svix-* ones in their place; names in any case. What is absent stays
// a null view. Several lines of the signature are one list (RFC 9110, section 5.3), which `joined`
// holds then. The id or the timestamp twice is one if the values are equal, and so are both names
// of a header. UNAUTHENTICATED conflicting_headers if they are not: a check of one value says
// nothing about the other.
absl::StatusOr<SignedHeaders> SignedHeadersOf(const HttpHead& head, std::string& joined);

// Whether a header of this name carries the webhook's id: webhook-id or svix-id, in any case.
bool IsIdHeader(absl::string_view name);

// The sender's trace, as it says itself: `traceparent` if it is there once and valid, and then
// `tracestate`, of which several lines are one list, if it is valid.
struct SenderTrace {
  std::string trace_parent;  // "" if there is none; as ReadTraceParent returns it
  std::string trace_state;
};
SenderTrace SenderTraceOf(const HttpHead& head);

// `headers.id` if it is as SignedHeaders says, verified or not; otherwise "". For logs.
absl::string_view WellFormedIdOf(const SignedHeaders& headers);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_WEBHOOK_REQUEST_H_
