// Whether bytes are text.
#ifndef HOOKGATE_SERVER_BASE_UTF8_H_
#define HOOKGATE_SERVER_BASE_UTF8_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// By RFC 3629, as a message of protobuf may hold it. "" is.
bool IsUtf8(absl::string_view text);

// The beginning of `text`, of `max_bytes` at most, as a message of protobuf may hold it: cut
// between characters, with a '?' for each byte that belongs to none.
std::string AsUtf8(absl::string_view text, size_t max_bytes);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_UTF8_H_
