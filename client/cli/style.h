// Colour on a terminal, or none.
#ifndef HOOKGATE_CLIENT_CLI_STYLE_H_
#define HOOKGATE_CLIENT_CLI_STYLE_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace hookgate::cli {

// What a piece of text is, for the eye.
enum class Look { kPlain, kHeading, kFaint, kGood, kBad };

class Style {
 public:
  explicit Style(bool colour) : colour_(colour) {}

  // `text` as it is, or between the terminal's escape sequences.
  std::string operator()(Look look, absl::string_view text) const {
    if (!colour_ || look == Look::kPlain || text.empty()) return std::string(text);
    return absl::StrCat("\x1b[", Code(look), "m", text, "\x1b[0m");
  }

 private:
  static absl::string_view Code(Look look) {
    switch (look) {
      case Look::kPlain:
        break;
      case Look::kHeading:
        return "1";
      case Look::kFaint:
        return "2";
      case Look::kGood:
        return "32";
      case Look::kBad:
        return "31";
    }
    return "0";
  }

  const bool colour_;
};

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_STYLE_H_
