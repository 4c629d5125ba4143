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

constexpr size_t kPartsBeforeChecksum = 8;

// FNV-1a always tells texts apart that differ within two bytes beside each other, and a character
// of base64 covers no more.
std::string ChecksumOf(absl::string_view text) {
  return absl::StrCat(absl::Hex(RequestFingerprint(text), absl::kZeroPad16));
}

std::string Escaped(const PageToken& token, absl::string_view epoch, uint64_t fingerprint,
                    Sequence head, HistoryMark mark) {
  const std::string text =
      absl::StrCat(absl::StrCat(epoch, ".", fingerprint, ".", absl::ToUnixMicros(token.start), ".",
                                absl::ToUnixMicros(token.end), "."),
                   absl::StrCat(absl::ToUnixMicros(token.after.receive_time), ".",
                                token.after.sequence, ".", head, ".", mark));
  return absl::WebSafeBase64Escape(absl::StrCat(text, ".", ChecksumOf(text)));
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
  return Escaped(token, point.history.epoch, fingerprint, point.head,
                 point.history.sequences.MarkAt(point.head));
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
  Sequence head = 0;
  HistoryMark mark = 0;
  if (parts.size() != kPartsBeforeChecksum + 1 || !absl::SimpleAtoi(parts[1], &token_fingerprint) ||
      !absl::SimpleAtoi(parts[2], &start) || !absl::SimpleAtoi(parts[3], &end) ||
      !absl::SimpleAtoi(parts[4], &after) || !absl::SimpleAtoi(parts[5], &token.after.sequence) ||
      !absl::SimpleAtoi(parts[6], &head) || !absl::SimpleAtoi(parts[7], &mark)) {
    return NoPageToken();
  }
  token.start = FromMicros(start);
  token.end = FromMicros(end);
  token.after.receive_time = FromMicros(after);
  // With the checksum. Numbers and base64 have other spellings too, with blanks and signs, that
  // nobody was given.
  if (Escaped(token, parts[0], token_fingerprint, head, mark) != text) return NoPageToken();
  if (parts[0] != point.history.epoch) {
    return InvalidField("page_token",
                        "belongs to another log: the gateway's data was replaced. Begin again "
                        "without a token");
  }
  if (head > point.head || mark != point.history.sequences.MarkAt(head)) {
    return InvalidField("page_token",
                        "belongs to another history of this log: the gateway's data was put back "
                        "to an older state since. Begin again without a token");
  }
  if (token_fingerprint != fingerprint) {
    return InvalidField("page_token",
                        "belongs to another request: between pages only page_size and "
                        "include_raw_body may change");
  }
  return token;
}

}  // namespace hookgate
