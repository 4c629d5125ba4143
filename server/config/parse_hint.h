// What would be right where the parser of a config stumbled, which says only what it had expected.
#ifndef HOOKGATE_SERVER_CONFIG_PARSE_HINT_H_
#define HOOKGATE_SERVER_CONFIG_PARSE_HINT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// Pure. "" if there is nothing to say. Holds nothing of `text`, in which secrets may be, but names
// of fields.
//   line, column  from 0, as the parser counts them
//   message       what the parser of protobuf's text format says
std::string ParseHint(absl::string_view text, int line, int column, absl::string_view message);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_PARSE_HINT_H_
