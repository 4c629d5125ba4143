#include "server/signature/pasted_secret.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

constexpr absl::string_view kPrefixes[] = {"whsec_", "whpk_", "whsk_"};

bool HasKnownPrefix(absl::string_view text) {
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [text](absl::string_view prefix) { return absl::StartsWith(text, prefix); });
}

bool Contains(absl::string_view text, std::initializer_list<absl::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](absl::string_view part) { return absl::StrContains(text, part); });
}

bool IsOddBlank(uint32_t code) {
  return code == 0x00A0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

// Each of these says what is wrong with a text, or "".

// Before anything is known of what it should be: no kind of secret has this.
std::string ProblemOfBytes(absl::string_view text) {
  if (text.find_first_not_of('\0') == absl::string_view::npos) {
    return "is nothing but zero bytes, as a file may be that was being written when the machine "
           "stopped: write it again";
  }
  if (absl::StartsWith(text, "\xff\xfe") || absl::StartsWith(text, "\xfe\xff") ||
      (text.size() > 2 && (text[0] == '\0' || text[1] == '\0'))) {
    return "is written in UTF-16; save it as plain text (UTF-8)";
  }
  if (absl::StartsWith(text, "\xef\xbb\xbf")) {
    return "begins with a byte order mark (BOM), which some editors add: save it as UTF-8 without "
           "one";
  }
  if (Contains(text, {"\n", "\r"})) {
    return "has several lines; give the secret alone, in one line, without comments";
  }
  for (absl::string_view rest = text; !rest.empty();) {
    const Character character = FirstCharacter(rest);
    if (character.length == 0) return "holds bytes that are not text (UTF-8)";
    if (character.code != '\t' && IsHarmful(character.code)) {
      return "holds a character that cannot be seen (a control character, or one of zero width): "
             "copy it again from where the sender shows it";
    }
    if (IsOddBlank(character.code)) {
      return "holds a space that is not a plain one, such as a no-break space: copy it again from "
             "where the sender shows it";
    }
    rest.remove_prefix(character.length);
  }
  return "";
}

bool IsQuote(absl::string_view text, bool at_start) {
  for (const absl::string_view quote :
       {"\"", "'", "`", "\xe2\x80\x98", "\xe2\x80\x99", "\xe2\x80\x9a", "\xe2\x80\x9c",
        "\xe2\x80\x9d", "\xe2\x80\x9e", "\xc2\xab", "\xc2\xbb"}) {
    if (at_start ? absl::StartsWith(text, quote) : absl::EndsWith(text, quote)) return true;
  }
  return false;
}

// Whether it begins like NAME=VALUE or name: VALUE. Base64 may end with '=', and nothing after it.
bool HasVariableName(absl::string_view text) {
  if (HasKnownPrefix(text)) return false;
  const size_t end = text.find_first_of("=:");
  if (end == absl::string_view::npos || end == 0 || !absl::ascii_isalpha(text[0])) return false;
  const absl::string_view name = text.substr(0, end);
  if (!std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == ' ';
      })) {
    return false;
  }
  absl::string_view value = text.substr(end + 1);
  while (absl::ConsumePrefix(&value, "=")) {
  }
  return !value.empty();
}

// What also a raw text cannot be.
std::string ProblemOfLine(absl::string_view text) {
  if (IsQuote(text, true) && IsQuote(text, false)) {
    return "has quotation marks around it; leave them out";
  }
  if (absl::StartsWithIgnoreCase(text, "export ") || absl::StartsWithIgnoreCase(text, "set ")) {
    return "is a line of a shell script; give only the part after the '='";
  }
  if (absl::StartsWithIgnoreCase(text, "bearer ") || absl::StartsWithIgnoreCase(text, "basic ")) {
    return "begins like an Authorization header (\"Bearer \"); give only the part after it, if "
           "that is the signing secret of the webhook";
  }
  if (absl::StartsWith(text, "v1,whsec_") || absl::StartsWith(text, "v1a,whpk_")) {
    return "has the name of the scheme before it (\"v1,\"); leave that out";
  }
  const absl::string_view name = text.substr(0, text.find('='));
  const bool is_variable = name.size() > 2 && std::all_of(name.begin(), name.end(), [](char c) {
                             return absl::ascii_isupper(static_cast<unsigned char>(c)) || c == '_';
                           });
  if ((is_variable || absl::StrContains(text, "whsec_")) && HasVariableName(text)) {
    return "has a name before it, as in NAME=VALUE; give the value alone";
  }
  return "";
}

std::string ProblemOfForm(absl::string_view text) {
  if (IsQuote(text, true) || IsQuote(text, false)) {
    return "has a quotation mark at one end; leave it out";
  }
  if (absl::StartsWith(text, "v1,") || absl::StartsWith(text, "v1a,")) {
    return "is a signature (\"v1,\"), which differs for each webhook; give the secret that "
           "signs";
  }
  if (HasVariableName(text)) return "has a name before it, as in NAME=VALUE; give the value alone";
  if (absl::StartsWith(text, "-----BEGIN")) {
    return "is a key or certificate in PEM, which no scheme of a source takes";
  }
  if (absl::StartsWith(text, "sk-") || absl::StartsWith(text, "sk_")) {
    return "is an API key (sk-); give the signing secret, which is shown where the webhook is "
           "configured";
  }
  if (absl::StartsWith(text, "$") || absl::StartsWith(text, "<") || absl::StartsWith(text, "{{")) {
    return "is a placeholder that nothing was put in for";
  }
  if (Contains(text, {"...", "\xe2\x80\xa6", "***", "\xe2\x80\xa2"})) {
    return "is cut or hidden (\"...\" or \"***\"); copy all of it from where the sender shows it";
  }
  return "";
}

// A key that was drawn at random is never so.
bool IsTwice(absl::string_view text) {
  constexpr size_t kLeastHalf = 24;
  const size_t half = text.size() / 2;
  return text.size() % 2 == 0 && half >= kLeastHalf && text.substr(0, half) == text.substr(half);
}
constexpr char kTwice[] = "is the same text twice; was it pasted twice?";

// Of a key that is hardly one, such as zeros that stand for one that is to come.
bool IsNearlyUniform(absl::string_view key) {
  constexpr size_t kLeastKinds = 5;
  return std::set<char>(key.begin(), key.end()).size() < kLeastKinds;
}

// Of what follows a prefix, which should be base64.
std::string ProblemOfBase64(absl::string_view prefix, absl::string_view base64) {
  if (base64.empty()) return absl::StrCat("has nothing after ", prefix);
  if (HasKnownPrefix(base64)) return absl::StrCat("has its prefix twice");
  if (Contains(base64, {"whsec_", "whpk_", "whsk_"})) {
    return "has a second one behind it; give one alone";
  }
  if (IsTwice(base64)) return kTwice;
  if (std::any_of(base64.begin(), base64.end(), absl::ascii_isspace)) {
    return absl::StrCat("has white space or other text after ", prefix,
                        ", where only base64 is allowed; give the secret alone, without spaces and "
                        "comments");
  }
  if (absl::StrContains(base64, '%')) {
    return "is written for URLs (%2B, %3D); give it as the sender shows it";
  }
  if (Contains(base64, {"-", "_"})) {
    return absl::StrCat("is base64 for URLs after ", prefix,
                        " ('-' and '_' in place of '+' and '/'); give it as the sender shows it");
  }
  const size_t padding = base64.find('=');
  if (padding != absl::string_view::npos &&
      base64.find_first_not_of('=', padding) != absl::string_view::npos) {
    return "has text after its end (behind '='); give the secret alone";
  }
  if (padding == absl::string_view::npos && base64.size() % 4 != 0) {
    return absl::StrCat("is not base64 after ", prefix,
                        ": it is cut, or lacks the padding ('=') at its end");
  }
  return "";
}

std::string ProblemOfPrefixed(absl::string_view text, const SecretOptions& options) {
  const std::string form = ProblemOfForm(text);
  if (!form.empty()) return form;
  for (const absl::string_view prefix : kPrefixes) {
    if (absl::StartsWith(text, prefix)) return ProblemOfBase64(prefix, text.substr(prefix.size()));
    if (absl::StartsWithIgnoreCase(text, prefix)) {
      return absl::StrCat("begins with ", prefix, " in capitals; write it in small letters");
    }
  }
  std::string problem =
      "begins neither with whsec_ (a shared secret) nor with whpk_ (a public key)";
  if (text.size() < kLeastKeyBytes) {
    return absl::StrCat(problem, ", and has only ", text.size(),
                        text.size() == 1 ? " byte" : " bytes", ": is it cut?");
  }
  return absl::StrCat(problem,
                      "; give it as the sender shows it. If the sender really signs with "
                      "this plain text, ",
                      options.how_to_ask_for_raw);
}

std::string ProblemOfRaw(absl::string_view text) {
  if (IsTwice(text)) return kTwice;
  if (!HasKnownPrefix(text)) return "";
  return "is asked to be raw text, but begins with whsec_, whpk_ or whsk_: that is never raw; do "
         "not ask for it";
}

}  // namespace

absl::StatusOr<PastedSecret> ReadPastedSecret(absl::string_view name, absl::string_view text,
                                              const SecretOptions& options) {
  const auto refuse = [name](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat("secret \"", name, "\" ", problem));
  };
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return refuse("is empty or blank");
  std::string problem = ProblemOfBytes(text);
  if (problem.empty()) problem = ProblemOfLine(text);
  if (problem.empty()) {
    problem = options.raw ? ProblemOfRaw(text) : ProblemOfPrefixed(text, options);
  }
  if (!problem.empty()) return refuse(problem);
  absl::StatusOr<Secret> secret =
      options.raw ? Secret::FromRawText(name, text) : Secret::Parse(name, text);
  if (!secret.ok()) return secret.status();
  PastedSecret pasted = {*std::move(secret), {}};
  if (pasted.secret.public_key() != nullptr) return pasted;
  const size_t bytes = pasted.secret.key().size();
  if (bytes < kLeastKeyBytes) {
    return refuse(absl::StrCat("has only ", bytes, bytes == 1 ? " byte" : " bytes",
                               ", which can be tried out; it must have at least ", kLeastKeyBytes,
                               ", and should have ", kUsualKeyBytes, ": is it cut?"));
  }
  if (IsNearlyUniform(pasted.secret.key())) {
    return refuse(
        "is a key of hardly any different bytes, which can be guessed: is it a "
        "placeholder?");
  }
  const auto warn = [&](absl::string_view what) {
    pasted.warnings.push_back(absl::StrCat("secret \"", name, "\" ", what));
  };
  if (bytes < kUsualKeyBytes) {
    warn(absl::StrCat("has only ", bytes, " bytes; a key should have at least ", kUsualKeyBytes,
                      ", or it may be guessed"));
  }
  if (options.raw && std::any_of(text.begin(), text.end(), absl::ascii_isspace)) {
    warn("has white space inside, which is part of it");
  }
  return pasted;
}

}  // namespace hookgate
