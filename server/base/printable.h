// Text that somebody else has chosen, made safe to print: for log lines, errors and terminals.
// Pure.
#ifndef HOOKGATE_SERVER_BASE_PRINTABLE_H_
#define HOOKGATE_SERVER_BASE_PRINTABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace hookgate {

// One character at the beginning of a text; length 0: the bytes there are not UTF-8.
struct Character {
  uint32_t code = 0;
  size_t length = 0;
};

// By RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. REQUIRES: not empty.
Character FirstCharacter(absl::string_view text);

// Whether a reader of the text could be deceived by the character: control characters (C0, DEL, C1)
// move the cursor and end lines, marks of direction reorder what is read, and others take part in a
// comparison without being seen (zero width, soft hyphen, tags).
bool IsHarmful(uint32_t code);

// `text` with every harmful character written as \n, \r, \t, \u202e or \U000e0001, and each byte
// that is not UTF-8 as \xff. A backslash stays as it is, because this is for reading, not for
// decoding. The result is valid UTF-8.
std::string Printable(absl::string_view text);

// `text` as a JSON string with its quotation marks: JSON's own escapes, and for what is harmful
// \u202e (a pair of surrogates above U+FFFF), so that a reader of the line as text is safe and a
// parser gets the characters. A byte that is not UTF-8 becomes the four characters \xff, written
// "\\xff". The result is valid UTF-8.
std::string PrintableJsonString(absl::string_view text);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_BASE_PRINTABLE_H_
