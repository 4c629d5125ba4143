// JSON text as a Boost.JSON value.
#ifndef HOOKGATE_SERVER_EVENT_PARSE_JSON_H_
#define HOOKGATE_SERVER_EVENT_PARSE_JSON_H_

#include <boost/json/fwd.hpp>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace hookgate {

// The sender chooses the nesting; we choose the stack. A value's destructor calls itself once for
// each level, in some 200 bytes. Nobody's webhook nests as deeply; other readers stop at 100 or
// more.
inline constexpr size_t kMaxJsonDepth = 128;
// A byte order mark in UTF-8.
inline constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

// Reads `text` into `document`, with the memory resource of `document`. A byte order mark before
// the JSON is passed over, the last of duplicate keys wins, and a number with a fraction or an
// exponent is the double nearest to its text, as in Python. INVALID_ARGUMENT with reason
// body_not_json if `text` is not one JSON document in UTF-8, nests deeper than kMaxJsonDepth, or
// holds a lone surrogate, also as "\ud800". The message says at which byte, and holds nothing of
// `text`.
absl::Status ParseJson(absl::string_view text, boost::json::value& document);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENT_PARSE_JSON_H_
