#include "server/grpc_server/grpc_refusal.h"

namespace hookgate {

absl::string_view NameOf(GrpcRefusal refusal) {
  switch (refusal) {
    case GrpcRefusal::kTooManyConnections:
      return "too_many_connections";
    case GrpcRefusal::kTooManyHandshakes:
      return "too_many_handshakes";
    case GrpcRefusal::kHandshakeFailed:
      return "handshake_failed";
    case GrpcRefusal::kHandshakeTimeout:
      return "handshake_timeout";
    case GrpcRefusal::kNotHttp2:
      return "not_http2";
    case GrpcRefusal::kProtocolError:
      return "protocol_error";
    case GrpcRefusal::kHeaderTimeout:
      return "header_timeout";
    case GrpcRefusal::kHeadersTooLarge:
      return "headers_too_large";
    case GrpcRefusal::kTooManyEmptyFrames:
      return "too_many_empty_frames";
    case GrpcRefusal::kTooManyResets:
      return "too_many_resets";
    case GrpcRefusal::kWriteTimeout:
      return "write_timeout";
    case GrpcRefusal::kKeepaliveTimeout:
      return "keepalive_timeout";
    case GrpcRefusal::kCallHeadersTooLarge:
      return "call_headers_too_large";
    case GrpcRefusal::kTooManyCalls:
      return "too_many_calls";
    case GrpcRefusal::kMalformedCall:
      return "malformed_call";
    case GrpcRefusal::kMessageTooLarge:
      return "message_too_large";
    case GrpcRefusal::kMessageCompressed:
      return "message_compressed";
    case GrpcRefusal::kMessageTimeout:
      return "message_timeout";
    case GrpcRefusal::kTooManyInboundBytes:
      return "too_many_inbound_bytes";
    case GrpcRefusal::kTooManyOutboundBytes:
      return "too_many_outbound_bytes";
    case GrpcRefusal::kCount:
      break;
  }
  return "";
}

}  // namespace hookgate
