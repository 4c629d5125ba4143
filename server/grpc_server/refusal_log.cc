#include "server/grpc_server/refusal_log.h"

#include <cstddef>

#include "absl/types/optional.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

constexpr size_t kMaxDetailBytes = 200;

}  // namespace

RefusalLog::RefusalLog(const Clock& clock) : lines_(clock, LogLimiter::kStrangerLinesPerSecond) {}

void RefusalLog::Note(GrpcRefusal refusal, absl::string_view peer, absl::string_view detail) {
  counts_[static_cast<size_t>(refusal)].fetch_add(1, std::memory_order_relaxed);
  const absl::optional<int64_t> left_out = lines_.Take();
  if (!left_out.has_value()) return;
  Log(Severity::kWarning, "gRPC peer refused",
      {{"reason", NameOf(refusal)},
       {"peer", peer},
       {"detail", detail.substr(0, kMaxDetailBytes)},
       {"lines_left_out", *left_out}});
}

GrpcRefusalCounts RefusalLog::counts() const {
  GrpcRefusalCounts counts = {};
  for (size_t i = 0; i < counts.size(); ++i) {
    counts[i] = counts_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

}  // namespace hookgate
