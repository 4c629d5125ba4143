// How gRPC writes a status message into a header field ("Status-Message" in PROTOCOL-HTTP2.md):
// printable ASCII as it is, anything else, and '%' itself, as %XX. Pure.
#ifndef HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_
#define HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// At most `max_bytes`: what does not fit is left out, never a part of a character of UTF-8.
std::string PercentEncode(absl::string_view text, size_t max_bytes);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GRPC_SERVER_PERCENT_ENCODING_H_
