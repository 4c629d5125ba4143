// What is counted of the webhooks of one source.
#ifndef HOOKGATE_SERVER_INGEST_SOURCE_METRICS_H_
#define HOOKGATE_SERVER_INGEST_SOURCE_METRICS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/http/http_handler.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// What a request was answered. Each has exactly one of these.
enum class WebhookResult { kStored, kDuplicate, kConflict, kQuarantined, kRefused };

// Its series are there, at 0, as long as it is. Thread-safe.
class SourceMetrics {
 public:
  // Of the requests for a configured source; "": of all others.
  SourceMetrics(const std::string& source, MetricRegistry& metrics);

  // An answer was made. Follow it with the watch that this returns, which counts how long it took.
  // `self` is that of which the answer is.
  static std::shared_ptr<AnswerWatch> Count(const std::shared_ptr<SourceMetrics>& self,
                                            WebhookResult result);
  // The same for a refusal, with its code (base/reason.h).
  static std::shared_ptr<AnswerWatch> CountRefused(const std::shared_ptr<SourceMetrics>& self,
                                                   absl::string_view code);
  // A whole body has arrived.
  void NoteBody(size_t bytes) { body_bytes_->Add(static_cast<int64_t>(bytes)); }
  // An event was stored, so long after it had happened as its sender says: any time at all, of
  // which no more is counted than kMaxDelay.
  void NoteDelay(absl::Duration delay) {
    delay_->Observe(std::clamp(delay, absl::ZeroDuration(), kMaxDelay));
  }

  // Otherwise one event from the year 1 would be all that the sum tells of the others.
  static constexpr absl::Duration kMaxDelay = absl::Hours(24 * 30);

 private:
  static constexpr size_t kResults = 5;

  class Timed final : public AnswerWatch {
   public:
    explicit Timed(std::shared_ptr<Histogram> duration) : duration_(std::move(duration)) {}
    void OnWritten(absl::Duration since_head) override { duration_->Observe(since_head); }

   private:
    const std::shared_ptr<Histogram> duration_;
  };

  // Constant after construction.
  std::array<std::shared_ptr<Counter>, kResults> results_;
  std::array<std::unique_ptr<Timed>, kResults> timed_;
  std::vector<std::shared_ptr<Counter>> refused_;  // as IngestCounters::RefusalReasons
  std::shared_ptr<Counter> body_bytes_;
  std::shared_ptr<Histogram> delay_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_SOURCE_METRICS_H_
