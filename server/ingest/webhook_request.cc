#include "server/ingest/webhook_request.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kPathPrefix[] = "/webhooks/";
constexpr size_t kMaxIdBytes = 256;

// One of the three headers: its name behind "webhook-" or "svix-", and where its value goes.
struct SignedHeader {
  const char* suffix;
  absl::string_view SignedHeaders::*value;
};
constexpr SignedHeader kSignedHeaders[] = {{"id", &SignedHeaders::id},
                                           {"timestamp", &SignedHeaders::timestamp},
                                           {"signature", &SignedHeaders::signature}};

bool ConsumePrefixIgnoreCase(absl::string_view& text, absl::string_view prefix) {
  if (!absl::StartsWithIgnoreCase(text, prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

absl::StatusOr<absl::string_view> SourceNameOf(absl::string_view target) {
  absl::string_view path = target.substr(0, target.find('?'));
  if (!absl::ConsumePrefix(&path, kPathPrefix) || path.empty() || absl::StrContains(path, '/')) {
    return ErrorWithReason(absl::StatusCode::kNotFound, reason::kNotFound,
                           "there is nothing at this path; webhooks go to /webhooks/{source}");
  }
  return path;
}

bool IsEncoded(const HttpHead& head) {
  bool encoded = false;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    if (absl::EqualsIgnoreCase(name, "content-encoding") && !value.empty() &&
        !absl::EqualsIgnoreCase(value, "identity")) {
      encoded = true;
    }
  });
  return encoded;
}

absl::StatusOr<SignedHeaders> SignedHeadersOf(const HttpHead& head) {
  SignedHeaders headers;
  absl::Status conflict;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    if (!ConsumePrefixIgnoreCase(name, "webhook-") && !ConsumePrefixIgnoreCase(name, "svix-")) {
      return;
    }
    for (const SignedHeader& header : kSignedHeaders) {
      if (!absl::EqualsIgnoreCase(name, header.suffix)) continue;
      absl::string_view& slot = headers.*header.value;
      if (slot.data() != nullptr && slot != value) {
        conflict = ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kConflictingHeaders,
                                   absl::StrCat("the header webhook-", header.suffix, " (or svix-",
                                                header.suffix, ") is there with different values"));
      }
      // An empty value is there, too.
      slot = value.data() != nullptr ? value : absl::string_view("");
    }
  });
  if (!conflict.ok()) return conflict;
  return headers;
}

absl::string_view WellFormedIdOf(const SignedHeaders& headers) {
  const bool well_formed = headers.id.size() <= kMaxIdBytes &&
                           std::all_of(headers.id.begin(), headers.id.end(), absl::ascii_isgraph);
  return well_formed ? headers.id : "";
}

}  // namespace hookgate
