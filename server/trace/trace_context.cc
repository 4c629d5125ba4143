#include "server/trace/trace_context.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace hookgate {
namespace {

// "00-" and 32 digits, "-" and 16, "-" and 2.
constexpr size_t kTraceIdAt = 3;
constexpr size_t kTraceIdDigits = 32;
constexpr size_t kSpanIdAt = kTraceIdAt + kTraceIdDigits + 1;
constexpr size_t kSpanIdDigits = 16;
constexpr size_t kFlagsAt = kSpanIdAt + kSpanIdDigits + 1;
constexpr size_t kTraceParentBytes = kFlagsAt + 2;

constexpr size_t kMaxTraceStateBytes = 512;
constexpr size_t kMaxMembers = 32;
constexpr size_t kMaxMemberPart = 256;  // a key, or a value

constexpr char kDigits[] = "0123456789abcdef";
constexpr uint64_t kRandomBits = uint64_t{1} << 56;

bool IsLowerHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
  });
}

bool IsId(absl::string_view text) {
  return IsLowerHex(text) && text.find_first_not_of('0') != absl::string_view::npos;
}

bool IsSampled(absl::string_view flags) {
  const char low = flags[1];
  return ((absl::ascii_isdigit(static_cast<unsigned char>(low)) ? low - '0' : low - 'a' + 10) &
          1) != 0;
}

bool IsKey(absl::string_view key) {
  const auto is_start = [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c);
  };
  return !key.empty() && key.size() <= kMaxMemberPart &&
         is_start(static_cast<unsigned char>(key.front())) &&
         std::all_of(key.begin(), key.end(), [&is_start](char c) {
           return is_start(static_cast<unsigned char>(c)) || absl::StrContains("_-*/@", c);
         });
}

// The blanks around the member, which its end may have, are gone.
bool IsValue(absl::string_view value) {
  return !value.empty() && value.size() <= kMaxMemberPart &&
         std::all_of(value.begin(), value.end(), [](unsigned char c) {
           return c >= 0x20 && c <= 0x7e && c != ',' && c != '=';
         });
}

absl::string_view WithoutBlanks(absl::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Writes the lowest `digits` digits of `value` to `to`.
void WriteHex(uint64_t value, size_t digits, char* to) {
  for (size_t i = digits; i-- > 0; value >>= 4) to[i] = kDigits[value & 0xf];
}

}  // namespace

absl::optional<std::string> ReadTraceParent(absl::string_view value) {
  if (value.size() < kTraceParentBytes) return absl::nullopt;
  const absl::string_view version = value.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff") return absl::nullopt;
  if (value.size() > kTraceParentBytes && (version == "00" || value[kTraceParentBytes] != '-')) {
    return absl::nullopt;
  }
  for (const size_t dash : {kTraceIdAt - 1, kSpanIdAt - 1, kFlagsAt - 1}) {
    if (value[dash] != '-') return absl::nullopt;
  }
  const absl::string_view flags = value.substr(kFlagsAt, 2);
  if (!IsId(value.substr(kTraceIdAt, kTraceIdDigits)) ||
      !IsId(value.substr(kSpanIdAt, kSpanIdDigits)) || !IsLowerHex(flags)) {
    return absl::nullopt;
  }
  std::string read(value.substr(0, kTraceParentBytes));
  read.replace(0, 2, "00");
  read.replace(kFlagsAt, 2, IsSampled(flags) ? "01" : "00");
  return read;
}

bool IsTraceState(absl::string_view value) {
  if (value.size() > kMaxTraceStateBytes) return false;
  std::set<absl::string_view> keys;
  for (absl::string_view member : absl::StrSplit(value, ',')) {
    member = WithoutBlanks(member);
    if (member.empty()) continue;
    const size_t equals = member.find('=');
    if (equals == absl::string_view::npos || !IsKey(member.substr(0, equals)) ||
        !IsValue(member.substr(equals + 1)) || !keys.insert(member.substr(0, equals)).second) {
      return false;
    }
  }
  return !keys.empty() && keys.size() <= kMaxMembers;
}

absl::string_view TraceIdOf(absl::string_view trace_parent) {
  if (trace_parent.size() != kTraceParentBytes) return "";
  return trace_parent.substr(kTraceIdAt, kTraceIdDigits);
}

void TraceParents::SetSampleRatio(double sample_ratio) {
  const double left_out = (1 - sample_ratio) * static_cast<double>(kRandomBits);
  sampled_from_ = static_cast<uint64_t>(
      std::clamp(std::round(left_out), 0.0, static_cast<double>(kRandomBits)));
}

std::string TraceParents::Next() {
  uint64_t high = 0, low = 0, span = 0;
  {
    absl::MutexLock lock(&mu_);
    // A zero is not valid as an id. One half of the trace id may be.
    high = absl::Uniform<uint64_t>(absl::IntervalClosed, random_, 1, UINT64_MAX);
    low = absl::Uniform<uint64_t>(random_);
    span = absl::Uniform<uint64_t>(absl::IntervalClosed, random_, 1, UINT64_MAX);
  }
  std::string text(kTraceParentBytes, '-');
  WriteHex(0, 2, text.data());
  WriteHex(high, kTraceIdDigits / 2, text.data() + kTraceIdAt);
  WriteHex(low, kTraceIdDigits / 2, text.data() + kTraceIdAt + kTraceIdDigits / 2);
  WriteHex(span, kSpanIdDigits, text.data() + kSpanIdAt);
  WriteHex(low % kRandomBits >= sampled_from_ ? 1 : 0, 2, text.data() + kFlagsAt);
  return text;
}

}  // namespace hookgate
