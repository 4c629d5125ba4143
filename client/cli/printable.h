// Text from elsewhere, made safe for a terminal. Pure.
#ifndef HOOKGATE_CLIENT_CLI_PRINTABLE_H_
#define HOOKGATE_CLIENT_CLI_PRINTABLE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate::cli {

// `text` with everything escaped by which whoever chose it could move the cursor, recolour, end the
// line or reorder what is read: control characters (C0, DEL, C1), line separators, and the marks
// that change the direction of text. Bytes that are no UTF-8 become \xNN; a backslash stays as it
// is, because this is for reading, not for decoding.
std::string Printable(absl::string_view text);

// The same, with line feeds and tabs as they are: for bodies shown as a block of their own.
std::string PrintableLines(absl::string_view text);

// The longest value that a line or a table shows whole: a webhook-id has at most 256 bytes, and
// another value of that length is not read by anybody.
constexpr size_t kMaxShown = 256;

// `text`, which is Printable, if it takes at most kMaxShown columns; otherwise its beginning and
// "...", in so many.
std::string Shortened(absl::string_view text);

// `json`, a JSON text, with the same characters as \uNNNN, which is the same to whatever reads
// JSON: serializers leave most of them as they are. Safe because outside of its strings JSON has
// none of them, except line feeds and tabs between its parts, which stay.
std::string PrintableJson(absl::string_view json);

// How many columns `text` takes, if it is Printable and each of its characters takes one.
size_t Width(absl::string_view text);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_PRINTABLE_H_
