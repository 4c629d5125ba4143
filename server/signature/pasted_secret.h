// A secret as people hand it over: in a file, a variable or a config. Pure.
//
// A secret that was pasted wrongly makes a gateway that starts and refuses every webhook. So what
// is not exactly a secret is refused, and the error says what it is instead.
#ifndef HOOKGATE_SERVER_SIGNATURE_PASTED_SECRET_H_
#define HOOKGATE_SERVER_SIGNATURE_PASTED_SECRET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate {

// Shorter keys can be tried out, and are refused.
inline constexpr size_t kLeastKeyBytes = 8;
// Standard Webhooks 1.0, "Signature scheme": a key has 24 to 64 bytes. Shorter ones are warned of.
inline constexpr size_t kUsualKeyBytes = 24;

struct SecretOptions {
  // The text itself is the shared secret, and has no prefix.
  bool raw = false;
  // How the reader of an error asks for `raw`, such as "set raw: true".
  absl::string_view how_to_ask_for_raw;
};

struct PastedSecret {
  Secret secret;
  // What is odd about it, without any of its text; begins like the errors.
  std::vector<std::string> warnings;
};

// ASCII white space around `text` is dropped. Without options.raw it is what Secret::Parse takes;
// with it, any other text of one line.
//   name  how errors, warnings and logs call it
// INVALID_ARGUMENT that says what `text` looks like instead: empty, quoted, NAME=...,
// "v1,whsec_...", "Bearer ...", a private key, an API key, a signature, a placeholder, several
// lines, UTF-16, with a byte order mark, with invisible characters, cut, with text after it, base64
// for URLs, base64 without its padding, a key of less than kLeastKeyBytes; or that raw text has to
// be asked for. No message holds any part of `text`.
absl::StatusOr<PastedSecret> ReadPastedSecret(absl::string_view name, absl::string_view text,
                                              const SecretOptions& options);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_SIGNATURE_PASTED_SECRET_H_
