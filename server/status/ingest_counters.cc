#include "server/status/ingest_counters.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/base/reason.h"

namespace hookgate {
namespace {

constexpr const char* kRefusals[] = {
    reason::kMalformedRequest,
    reason::kRequestTimeout,
    reason::kTooManyConnections,
    reason::kTooManyBodies,
    reason::kHeaderTooLarge,
    reason::kBodyTooLarge,
    reason::kUnknownSource,
    reason::kNotFound,
    reason::kMethodNotAllowed,
    reason::kEncodedBody,
    reason::kAddressNotAllowed,
    reason::kMissingHeader,
    reason::kMalformedHeader,
    reason::kConflictingHeaders,
    reason::kTimestampTooOld,
    reason::kTimestampTooNew,
    reason::kSignatureMismatch,
    reason::kRateLimited,
    reason::kQueueFull,
    reason::kStoreUnavailable,
    reason::kDraining,
    reason::kNoLeader,
    "other",
};
constexpr char kRefusedPrefix[] = "refused/";

// In the rows. Never change one.
constexpr struct {
  const char* name;
  std::atomic<int64_t> IngestCounters::*counter;
} kCounters[] = {
    {"stored", &IngestCounters::stored},
    {"duplicates", &IngestCounters::duplicates},
    {"conflicts", &IngestCounters::conflicts},
    {"quarantined", &IngestCounters::quarantined},
    {"removed_from_quarantine", &IngestCounters::removed_from_quarantine},
};

}  // namespace

size_t IngestCounters::IndexOf(absl::string_view reason) {
  static_assert(std::size(kRefusals) == kReasons);
  return static_cast<size_t>(std::find(std::begin(kRefusals), std::end(kRefusals) - 1, reason) -
                             std::begin(kRefusals));
}

bool IngestCounters::IsRefusal(absl::string_view reason) {
  return std::find(std::begin(kRefusals), std::end(kRefusals), reason) != std::end(kRefusals);
}
absl::Span<const char* const> IngestCounters::RefusalReasons() { return kRefusals; }

void IngestCounters::CountRefused(absl::string_view reason) { ++refused_[IndexOf(reason)]; }

int64_t IngestCounters::refused() const {
  int64_t total = 0;
  for (const std::atomic<int64_t>& count : refused_) total += count;
  return total;
}

std::vector<std::pair<std::string, int64_t>> IngestCounters::RefusedByReason() const {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (size_t i = 0; i < kReasons; ++i) {
    const int64_t count = refused_[i];
    if (count > 0) counts.emplace_back(kRefusals[i], count);
  }
  std::stable_sort(counts.begin(), counts.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return counts;
}

std::map<std::string, int64_t> IngestCounters::ToRows() const {
  std::map<std::string, int64_t> rows;
  for (const auto& each : kCounters) {
    const int64_t count = this->*each.counter;
    if (count > 0) rows.emplace(each.name, count);
  }
  for (const auto& [reason, count] : RefusedByReason()) {
    rows.emplace(absl::StrCat(kRefusedPrefix, reason), count);
  }
  return rows;
}

void IngestCounters::AddRows(const std::map<std::string, int64_t>& rows) {
  for (const auto& each : kCounters) {
    const auto row = rows.find(each.name);
    if (row != rows.end()) this->*each.counter += row->second;
  }
  for (size_t i = 0; i < kReasons; ++i) {
    const auto row = rows.find(absl::StrCat(kRefusedPrefix, kRefusals[i]));
    if (row != rows.end()) refused_[i] += row->second;
  }
}

}  // namespace hookgate
