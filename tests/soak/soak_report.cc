#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/soak/soak.h"

namespace hookgate {
namespace {

std::string Line(absl::string_view what, int64_t count) {
  return absl::StrFormat("%-44s %12d\n", what, count);
}

std::string Line(absl::string_view what, const std::string& value) {
  return absl::StrFormat("%-44s %12s\n", what, value);
}

std::string Mebibytes(int64_t bytes) {
  return absl::StrFormat("%.1f MiB", static_cast<double>(bytes) / (1 << 20));
}

std::string Seconds(absl::Duration duration) {
  return absl::StrFormat("%.2f s", absl::ToDoubleSeconds(duration));
}

}  // namespace

bool SoakReport::MemoryIsBounded() const {
  return last_life_bytes - first_life_bytes <= allowed_growth &&
         end_bytes - warm_bytes <= allowed_growth;
}

bool SoakReport::IsGood() const {
  return counts.findings() == 0 && verify_findings == 0 && MemoryIsBounded() && WalIsBounded();
}

std::string SoakReport::Text() const {
  std::string text = absl::StrCat(
      Line("webhooks answered 200", counts.answered),
      Line("  repeats of them, known", counts.repeats),
      Line("  503, sent again", counts.unavailable),
      Line("events delivered, to all readers", counts.delivered),
      Line("  acks answered, of a durable subscription", counts.acked),
      Line("restarts", absl::StrCat(killed, " kill, ", ended, " term")),
      Line("  slowest start", Seconds(slowest_start)),
      Line("  slowest graceful shutdown", Seconds(slowest_end)),
      Line("lost: answered 200, not delivered", counts.lost),
      Line("duplicates in the log", counts.duplicates),
      Line("out of order, or a hole", counts.out_of_order),
      Line("delivered after their ack was answered", counts.came_back),
      Line("otherwise wrong", counts.others), Line("findings of hookgate fsck", verify_findings),
      Line("memory of the first life, warmed up", Mebibytes(first_life_bytes)),
      Line("memory of the last life at that point", Mebibytes(last_life_bytes)),
      Line("  after half of it", Mebibytes(warm_bytes)), Line("  at its end", Mebibytes(end_bytes)),
      Line("  may grow by", Mebibytes(allowed_growth)),
      Line("largest write-ahead log", Mebibytes(largest_wal_bytes)),
      Line("  its bound", Mebibytes(wal_bound)), Line("took", Seconds(elapsed)));
  if (!MemoryIsBounded()) absl::StrAppend(&text, "memory grew by more than it may\n");
  if (!WalIsBounded()) absl::StrAppend(&text, "the write-ahead log is above its bound\n");
  for (const std::string& example : examples) absl::StrAppend(&text, "found: ", example, "\n");
  absl::StrAppend(&text, IsGood() ? "All well.\n" : "NOT WELL.\n");
  return text;
}

}  // namespace hookgate
