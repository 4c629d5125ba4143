// Whether bytes are text.
#ifndef HOOKGATE_SERVER_BASE_UTF8_H_
#define HOOKGATE_SERVER_BASE_UTF8_H_

#include "absl/strings/string_view.h"

namespace hookgate {

// By RFC 3629, as a message of protobuf may hold it. "" is.
bool IsUtf8(absl::string_view text);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_UTF8_H_
