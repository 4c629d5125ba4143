#include "server/ingest/webhook_request.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/trace/trace_context.h"

namespace hookgate {
namespace {

constexpr char kPathPrefix[] = "/webhooks/";
constexpr size_t kMaxIdBytes = 256;

// One of the three headers: its name behind "webhook-" or "svix-", and where its value goes.
struct SignedHeader {
  absl::string_view suffix;
  absl::string_view SignedHeaders::*value;
};
constexpr SignedHeader kSignedHeaders[] = {{"id", &SignedHeaders::id},
                                           {"timestamp", &SignedHeaders::timestamp},
                                           {"signature", &SignedHeaders::signature}};

// Whether a field's name is `wanted`, in any case. Most differ in their length, which takes no call
// to see; a request has a dozen of them.
bool IsName(absl::string_view name, absl::string_view wanted) {
  return name.size() == wanted.size() && absl::EqualsIgnoreCase(name, wanted);
}

// `prefix` is lower-case. Most names differ in their first letter, which takes no call to see.
bool ConsumePrefixIgnoreCase(absl::string_view& text, absl::string_view prefix) {
  if (text.empty() || absl::ascii_tolower(static_cast<unsigned char>(text[0])) != prefix[0] ||
      !absl::StartsWithIgnoreCase(text, prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

// Values of one header; usually one.
using Values = absl::InlinedVector<absl::string_view, 2>;

// Entries are separated by blanks. One line is left where it is.
absl::string_view List(const Values& lines, std::string& joined) {
  if (lines.size() == 1) return lines.front();
  joined = absl::StrJoin(lines, " ");
  return joined;
}

}  // namespace

absl::StatusOr<absl::string_view> SourceNameOf(absl::string_view target) {
  absl::string_view path = target.substr(0, target.find('?'));
  const bool has_prefix = absl::ConsumePrefix(&path, kPathPrefix);
  absl::ConsumeSuffix(&path, "/");
  if (!has_prefix || path.empty() || absl::StrContains(path, '/')) {
    return ErrorWithReason(absl::StatusCode::kNotFound, reason::kNotFound,
                           "this path does not exist; webhooks go to /webhooks/{source}");
  }
  return path;
}

bool IsEncoded(const HttpHead& head) {
  bool encoded = false;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    if (IsName(name, "content-encoding") && !value.empty() &&
        !absl::EqualsIgnoreCase(value, "identity")) {
      encoded = true;
    }
  });
  return encoded;
}

absl::string_view ContentTypeProblem(const HttpHead& head) {
  struct Kind {
    absl::string_view media_type;
    absl::string_view problem;
  };
  static constexpr Kind kKinds[] = {
      {"application/x-www-form-urlencoded",
       "; its Content-Type says that it is a form: have the sender send application/json"},
      {"multipart/form-data",
       "; its Content-Type says that it is multipart: have the sender send application/json"},
      {"application/xml",
       "; its Content-Type says that it is XML: have the sender send application/json"},
      {"text/xml", "; its Content-Type says that it is XML: have the sender send application/json"},
  };
  absl::string_view problem;
  head.ForEachField([&problem](absl::string_view name, absl::string_view value) {
    if (!IsName(name, "content-type")) return;
    const absl::string_view media_type =
        absl::StripAsciiWhitespace(value.substr(0, value.find(';')));
    for (const Kind& kind : kKinds) {
      if (absl::EqualsIgnoreCase(media_type, kind.media_type)) problem = kind.problem;
    }
  });
  return problem;
}

absl::StatusOr<SignedHeaders> SignedHeadersOf(const HttpHead& head, std::string& joined) {
  SignedHeaders headers;
  absl::string_view conflicting;
  const auto set = [&](const SignedHeader& header, absl::string_view value) {
    absl::string_view& slot = headers.*header.value;
    if (slot.data() != nullptr && slot != value) conflicting = header.suffix;
    // An empty value is there, too.
    slot = value.data() != nullptr ? value : absl::string_view("");
  };
  Values webhook_signatures;
  Values svix_signatures;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    const bool webhook = ConsumePrefixIgnoreCase(name, "webhook-");
    if (!webhook && !ConsumePrefixIgnoreCase(name, "svix-")) return;
    for (const SignedHeader& header : kSignedHeaders) {
      if (!IsName(name, header.suffix)) continue;
      if (header.value == &SignedHeaders::signature) {
        (webhook ? webhook_signatures : svix_signatures).push_back(value);
      } else {
        set(header, value);
      }
      return;
    }
  });
  const SignedHeader signature = {"signature", &SignedHeaders::signature};
  std::string other;  // The names' lists are equal, or the one is not needed after this.
  if (!svix_signatures.empty()) set(signature, List(svix_signatures, other));
  if (!webhook_signatures.empty()) set(signature, List(webhook_signatures, joined));
  if (!conflicting.empty()) {
    return ErrorWithReason(absl::StatusCode::kUnauthenticated, reason::kConflictingHeaders,
                           absl::StrCat("the header webhook-", conflicting, " (or svix-",
                                        conflicting, ") is there with different values"));
  }
  if (webhook_signatures.empty() && svix_signatures.size() > 1) {
    joined = std::move(other);
    headers.signature = joined;
  }
  return headers;
}

bool IsIdHeader(absl::string_view name) {
  return IsName(name, "webhook-id") || IsName(name, "svix-id");
}

SenderTrace SenderTraceOf(const HttpHead& head) {
  absl::string_view trace_parent;
  int trace_parents = 0;
  Values trace_states;
  head.ForEachField([&](absl::string_view name, absl::string_view value) {
    if (IsName(name, "traceparent")) {
      trace_parent = value;
      ++trace_parents;
    } else if (IsName(name, "tracestate")) {
      trace_states.push_back(value);
    }
  });
  SenderTrace trace;
  if (trace_parents == 1) trace.trace_parent = ReadTraceParent(trace_parent).value_or("");
  if (trace.trace_parent.empty() || trace_states.empty()) return trace;
  trace.trace_state = absl::StrJoin(trace_states, ",");
  if (!IsTraceState(trace.trace_state)) trace.trace_state.clear();
  return trace;
}

absl::string_view WellFormedIdOf(const SignedHeaders& headers) {
  const bool well_formed = headers.id.size() <= kMaxIdBytes &&
                           std::all_of(headers.id.begin(), headers.id.end(), absl::ascii_isgraph);
  return well_formed ? headers.id : "";
}

}  // namespace hookgate
