// What each method needs, before anybody looks into its request: the gate that no method can be
// forgotten at, for one that is not listed is denied.
//
//   health                 nothing
//   reflection             to be somebody
//   everything else        the right that its service method looks at more closely
#ifndef HOOKGATE_SERVER_RPC_CALL_RULES_H_
#define HOOKGATE_SERVER_RPC_CALL_RULES_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/access/access_policy.h"

namespace hookgate {

// Whether the method at `path` ("/hookgate.v1.EventService/Subscribe") may be called at all.
// UNAUTHENTICATED or PERMISSION_DENIED, as AccessPolicy says.
absl::Status CheckCall(const AccessPolicy& policy, const Credentials& credentials,
                       absl::string_view path);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CALL_RULES_H_
