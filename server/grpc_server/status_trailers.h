// How the error of a call is written into the trailer fields of its answer. The one place where an
// absl::Status becomes gRPC's.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_STATUS_TRAILERS_H_
#define HOOKGATE_SERVER_GRPC_SERVER_STATUS_TRAILERS_H_

#include <string>

#include "absl/status/status.h"

namespace hookgate {

struct StatusTrailers {
  std::string code;     // grpc-status: the codes are the same numbers
  std::string message;  // grpc-message, encoded; "": left out
  // grpc-status-details-bin in base64: a google.rpc.Status with ErrorInfo, whose domain is
  // "hookgate", whose reason is in upper case, and which has the status's metadata; BadRequest if
  // the status is about a field; RetryInfo if it is UNAVAILABLE. "": left out, for OK.
  std::string details;
};

// Clients take 8 KiB of trailers unless told otherwise: a longer message is cut, and details that
// are too long are left out.
StatusTrailers ToTrailers(const absl::Status& status);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_STATUS_TRAILERS_H_
