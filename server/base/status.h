// Errors inside the server: absl::Status, plus a *reason*, a stable word for code to act on. The
// two edges turn a Status into an answer once each: http/problem.h, grpc_server/status_trailers.h.
#ifndef HOOKGATE_SERVER_BASE_STATUS_H_
#define HOOKGATE_SERVER_BASE_STATUS_H_

#include <map>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Leaves the function with the error of `expression`, if it is one.
#define RETURN_IF_ERROR(expression)              \
  do {                                           \
    absl::Status status_or_ok = (expression);    \
    if (!status_or_ok.ok()) return status_or_ok; \
  } while (false)

// Declares or assigns `target` from a StatusOr, or leaves the function with its error.
#define ASSIGN_OR_RETURN(target, expression) \
  HOOKGATE_ASSIGN_OR_RETURN_(HOOKGATE_CONCAT_(status_or_, __LINE__), target, expression)
#define HOOKGATE_ASSIGN_OR_RETURN_(name, target, expression) \
  auto name = (expression);                                  \
  if (!name.ok()) return std::move(name).status();           \
  target = *std::move(name)
#define HOOKGATE_CONCAT_(a, b) HOOKGATE_CONCAT_INNER_(a, b)
#define HOOKGATE_CONCAT_INNER_(a, b) a##b

namespace hookgate {

// An error with a reason in lower_snake_case (base/reason.h has those that leave the server).
absl::Status ErrorWithReason(absl::StatusCode code, absl::string_view reason,
                             absl::string_view message);

// The reason of `status`, or "" if it has none.
std::string ReasonOf(const absl::Status& status);

// INVALID_ARGUMENT with reason invalid_request about the request's field at `path`, such as
// "filter.types[0]". `problem` says what is wrong with it and what would be right.
absl::Status InvalidField(absl::string_view path, absl::string_view problem);

// The path that InvalidField was given, or "".
std::string FieldOf(const absl::Status& status);

// Adds what the next safe step needs, such as "earliest_cursor".
void SetMetadata(absl::Status& status, absl::string_view key, absl::string_view value);
std::map<std::string, std::string> MetadataOf(const absl::Status& status);

// `status` with "`what`: " before its message; code, reason and payloads stay. OK stays OK.
absl::Status Annotate(const absl::Status& status, absl::string_view what);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_STATUS_H_
