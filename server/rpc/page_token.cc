#include "server/rpc/page_token.h"

#include <limits>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

// absl saturates at these when an infinite time becomes a number; they stand for it on the way
// back.
absl::Time FromMicros(int64_t micros) {
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  return absl::FromUnixMicros(micros);
}

absl::Status NoPageToken() {
  return InvalidField("page_token", "is not a page token: pass on next_page_token unchanged");
}

std::string Escaped(const PageToken& token, absl::string_view epoch, uint64_t fingerprint,
                    absl::string_view point) {
  return absl::WebSafeBase64Escape(
      absl::StrCat(epoch, ".", fingerprint, ".", absl::ToUnixMicros(token.start), ".",
                   absl::ToUnixMicros(token.end), ".", absl::ToUnixMicros(token.after.receive_time),
                   ".", token.after.sequence, point));
}

std::string PointText(Sequence head, HistoryMark mark) {
  return absl::StrCat(".", head, ".", mark);
}

}  // namespace

// FNV-1a, 64 bits: the same in every build, and nobody gains by finding two requests that collide.
uint64_t RequestFingerprint(absl::string_view request_bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : request_bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

LogPoint PointOf(const EventLog& log) { return {log.history(), log.Position().head}; }

std::string FormatPageToken(const PageToken& token, const LogPoint& point, uint64_t fingerprint) {
  return Escaped(token, point.history.epoch, fingerprint,
                 PointText(point.head, point.history.sequences.MarkAt(point.head)));
}

absl::StatusOr<PageToken> ParsePageToken(absl::string_view text, const LogPoint& point,
                                         uint64_t fingerprint) {
  std::string plain;
  std::vector<absl::string_view> parts;
  uint64_t token_fingerprint = 0;
  int64_t start = 0;
  int64_t end = 0;
  int64_t after = 0;
  PageToken token;
  if (absl::WebSafeBase64Unescape(text, &plain)) parts = absl::StrSplit(plain, '.');
  const bool has_point = parts.size() == 8;
  Sequence head = 0;
  HistoryMark mark = 0;
  if (has_point && (!absl::SimpleAtoi(parts[6], &head) || !absl::SimpleAtoi(parts[7], &mark))) {
    return NoPageToken();
  }
  if ((parts.size() != 6 && !has_point) || !absl::SimpleAtoi(parts[1], &token_fingerprint) ||
      !absl::SimpleAtoi(parts[2], &start) || !absl::SimpleAtoi(parts[3], &end) ||
      !absl::SimpleAtoi(parts[4], &after) || !absl::SimpleAtoi(parts[5], &token.after.sequence)) {
    return NoPageToken();
  }
  if (parts[0] != point.history.epoch) {
    return InvalidField("page_token",
                        "belongs to another log: the gateway's data was replaced. Begin again "
                        "without a token");
  }
  if (has_point && (head > point.head || mark != point.history.sequences.MarkAt(head))) {
    return InvalidField("page_token",
                        "belongs to another history of this log: the gateway's data was put back "
                        "to an older state since. Begin again without a token");
  }
  if (token_fingerprint != fingerprint) {
    return InvalidField("page_token",
                        "belongs to another request: between pages only page_size and "
                        "include_raw_body may change");
  }
  token.start = FromMicros(start);
  token.end = FromMicros(end);
  token.after.receive_time = FromMicros(after);
  // Numbers and base64 have other spellings, with blanks and signs, that nobody was given.
  if (Escaped(token, parts[0], fingerprint, has_point ? PointText(head, mark) : "") != text) {
    return NoPageToken();
  }
  return token;
}

}  // namespace hookgate
