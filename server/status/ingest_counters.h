// How many webhooks became what.
#ifndef HOOKGATE_SERVER_STATUS_INGEST_COUNTERS_H_
#define HOOKGATE_SERVER_STATUS_INGEST_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace hookgate {

// Thread-safe.
class IngestCounters {
 public:
  std::atomic<int64_t> stored = 0;
  std::atomic<int64_t> duplicates = 0;
  std::atomic<int64_t> conflicts = 0;                // repeats with another body
  std::atomic<int64_t> quarantined = 0;              // signed, but not decoded
  std::atomic<int64_t> removed_from_quarantine = 0;  // by its limits

  // Whether `reason` is one of those that requests are refused for, as below.
  static bool IsRefusal(absl::string_view reason);

  // Of all other requests, each is refused for one reason (base/reason.h). One that no request is
  // refused for counts as "other".
  void CountRefused(absl::string_view reason);
  // All of these reasons, "other" last.
  static absl::Span<const char* const> RefusalReasons();
  // The place of `reason` among them.
  static size_t IndexOf(absl::string_view reason);
  int64_t refused() const;
  // Those with a count, the largest first.
  std::vector<std::pair<std::string, int64_t>> RefusedByReason() const;

  // By name, as the log keeps them; those at 0 are left out. Names that are not known are ignored.
  std::map<std::string, int64_t> ToRows() const;
  void AddRows(const std::map<std::string, int64_t>& rows);

 private:
  static constexpr size_t kReasons = 23;

  std::array<std::atomic<int64_t>, kReasons> refused_{};
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_INGEST_COUNTERS_H_
