#include "client/token_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/base/small_file.h"

namespace hookgate {
namespace {

// A token is some dozens of bytes; gateways take no header above 16 KiB.
constexpr size_t kMaxFileBytes = 16 << 10;
// Long enough for a busy machine; the writer of a pipe must not hold up calls.
constexpr absl::Duration kPatience = absl::Seconds(1);

}  // namespace

bool LooksLikeToken(const std::string& token) {
  return !token.empty() && std::all_of(token.begin(), token.end(),
                                       [](unsigned char c) { return absl::ascii_isgraph(c); });
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadSmallFile(path, kMaxFileBytes, kPatience);
  if (!content.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the token file ", std::string(content.status().message())));
  }
  std::string token(absl::StripAsciiWhitespace(*content));
  if (!LooksLikeToken(token)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the token file ", ShownPath(path),
                     token.empty() ? " is empty" : " has spaces or other bytes that no token has"));
  }
  return token;
}

TokenSource::TokenSource(std::string token, std::string file)
    : file_(std::move(file)), token_(std::move(token)) {}

std::string TokenSource::Get() {
  absl::MutexLock lock(&mu_);
  if (!file_.empty()) {
    absl::StatusOr<std::string> token = ReadTokenFile(file_);
    if (token.ok()) token_ = *std::move(token);
  }
  return token_;
}

}  // namespace hookgate
