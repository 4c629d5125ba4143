// Encodes a status message for a header field as gRPC does ("Status-Message" in PROTOCOL-HTTP2.md):
// printable ASCII as it is, anything else, and '%' itself, as %XX. Pure.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_
#define HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// Returns at most `max_bytes`. Text that does not fit is cut off, between characters of UTF-8.
std::string PercentEncode(absl::string_view text, size_t max_bytes);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_
