// The field grpc-timeout: how long a client waits ("Timeout" in PROTOCOL-HTTP2.md). Pure.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_TIMEOUT_H_
#define HOOKGATE_SERVER_GRPC_SERVER_TIMEOUT_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

// "100m": one to eight digits, and H, M, S, m, u or n. nullopt for anything else.
absl::optional<absl::Duration> ParseGrpcTimeout(absl::string_view text);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_TIMEOUT_H_
