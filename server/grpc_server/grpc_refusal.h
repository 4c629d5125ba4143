// Why a GrpcServer refuses a connection or a call, as a closed list to count by.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_GRPC_REFUSAL_H_
#define HOOKGATE_SERVER_GRPC_SERVER_GRPC_REFUSAL_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace hookgate {

enum class GrpcRefusal {
  // Connections.
  kTooManyConnections,  // closed, or an idle one closed for it
  kTooManyHandshakes,   // of TLS, from its address: closed before one begins
  kHandshakeFailed,     // TLS
  kHandshakeTimeout,    // TLS, or HTTP/2's preface and settings
  kNotHttp2,            // the first bytes are something else
  kProtocolError,       // of HTTP/2
  kHeaderTimeout,       // a header block that does not end
  kHeadersTooLarge,     // far beyond what is answered
  kTooManyEmptyFrames,  // PING, WINDOW_UPDATE, updates of TLS keys, ... beyond their rate
  kTooManyResets,       // calls cancelled beyond their rate
  kWriteTimeout,        // the peer takes no bytes
  kKeepaliveTimeout,    // the peer answers no ping
  // Calls.
  kCallHeadersTooLarge,  // beyond max_header_list_bytes
  kTooManyCalls,
  kMalformedCall,  // not gRPC: method, content type, path, metadata, time-out
  kMessageTooLarge,
  kMessageCompressed,
  kMessageTimeout,
  kTooManyInboundBytes,
  kTooManyOutboundBytes,
  kCount,  // no refusal: how many there are
};

inline constexpr size_t kGrpcRefusals = static_cast<size_t>(GrpcRefusal::kCount);
using GrpcRefusalCounts = std::array<int64_t, kGrpcRefusals>;

// "too_many_connections" and so on, for log lines and metrics.
absl::string_view NameOf(GrpcRefusal refusal);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_GRPC_REFUSAL_H_
