#include "server/ingest/source.h"

#include <utility>

namespace hookgate {

Source::Source(WebhookSource config, SourceRecords records, std::shared_ptr<SourceMetrics> metrics,
               const Clock& clock)
    : config_(std::move(config)), metrics_(std::move(metrics)), records_(std::move(records)) {
  if (config_.rate_limit.has_value()) rate_limiter_.emplace(*config_.rate_limit, clock);
}

absl::Duration Source::TakeFromRate() {
  return rate_limiter_.has_value() ? rate_limiter_->Take() : absl::ZeroDuration();
}

}  // namespace hookgate
