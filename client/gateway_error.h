// What a failed call tells: the status, and the details that the gateway attaches to it.
#ifndef HOOKGATE_CLIENT_GATEWAY_ERROR_H_
#define HOOKGATE_CLIENT_GATEWAY_ERROR_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace grpc {
class Status;
}  // namespace grpc

namespace hookgate {

// The one reason that this library gives itself (client/capabilities.h): the code is UNIMPLEMENTED,
// and metadata["capability"] is what the gateway lacks.
inline constexpr char kCapabilityMissing[] = "CAPABILITY_MISSING";

// All fields are empty if the call was fine.
struct GatewayError {
  absl::Status status;  // Code and message as received.
  // google.rpc.ErrorInfo of domain "hookgate": the stable word for what went wrong, such as
  // "CURSOR_OVERTAKEN", and what belongs to it. Empty if the error came from elsewhere, such as
  // from the network or a proxy.
  std::string reason;
  std::map<std::string, std::string> metadata;
  // google.rpc.RetryInfo: not to be tried again before this.
  absl::Duration retry_delay;

  // Whether a gateway answered, rather than the way to it failed.
  bool FromGateway() const { return !reason.empty(); }
};

// Details that cannot be read are left out.
GatewayError ReadGatewayError(const grpc::Status& status);

// Whether the same call would fail again however often it is tried. Of a gateway's errors the
// reason decides; one that this build does not know is judged by its code. An error that comes from
// elsewhere is taken for final only if it is about the caller, not about the cursor or the
// subscription, which only a gateway can judge: INVALID_ARGUMENT, PERMISSION_DENIED,
// UNAUTHENTICATED, UNIMPLEMENTED. BEHAVIOUR.md has the table. So is a message that is larger than
// the connection takes, since it would come again. False if the call was fine.
bool IsPermanent(const GatewayError& error);

// The error for people: what happened (`what`, such as "cannot list events"), at which gateway, and
// the next safe step. Code as received; metadata's earliest_cursor and common_cursor are in
// the message. For programs GatewayErrorOf reads it.
absl::Status Explain(const GatewayError& error, absl::string_view what, absl::string_view target);

// What a status of Explain was made of, such as the end of Subscriber::Run and Consumer::Run:
// reason, metadata and retry_delay as the gateway gave them, with the explained message. Of other
// statuses these are empty.
GatewayError GatewayErrorOf(const absl::Status& status);

// Whether a status of Explain says that the cursor in hand is not one of the gateway's log as it
// is: CURSOR_OF_ANOTHER_LOG or CURSOR_OF_ANOTHER_HISTORY. Permanent: it will be refused again.
bool IsForeignCursor(const absl::Status& status);

}  // namespace hookgate

#endif  // HOOKGATE_CLIENT_GATEWAY_ERROR_H_
