// One sender of webhooks: its config, and what is known of it.
#ifndef HOOKGATE_SERVER_INGEST_SOURCE_H_
#define HOOKGATE_SERVER_INGEST_SOURCE_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "common/clock.h"
#include "server/base/rate_limiter.h"
#include "server/ingest/network.h"
#include "server/ingest/source_metrics.h"
#include "server/signature/standard_webhooks.h"
#include "server/status/source_records.h"

namespace hookgate {

// One configured sender.
struct WebhookSource {
  std::string name;
  std::vector<Secret> secrets;  // any of them may have signed
  absl::Duration timestamp_tolerance = absl::Seconds(300);
  absl::optional<RateLimit> rate_limit;   // none: no limit
  std::vector<Network> allowed_networks;  // whose webhooks are taken; none: anybody's
  absl::optional<absl::Duration>
      silent_after;  // operator events tell of longer silence; none: never
};

// Thread-safe.
class Source {
 public:
  // `clock` outlives the source; `records` and `metrics` are those of `config`.
  Source(WebhookSource config, SourceRecords records, std::shared_ptr<SourceMetrics> metrics,
         const Clock& clock);

  const WebhookSource& config() const { return config_; }

  // How long the sender has to wait; zero: it need not, and has used up one webhook of its rate.
  absl::Duration TakeFromRate();

  // A webhook came that these secrets, at least one, have verified.
  void NoteWebhook(absl::Span<const size_t> secret_indices, absl::Time receive_time) const {
    records_.NoteWebhook(secret_indices, receive_time);
  }
  // A webhook came whose signature none of the secrets verifies.
  void NoteFailedSignature() const { records_.NoteFailedSignature(); }
  // Since the log was made, whatever the config was meanwhile.
  const SourceRecords& records() const { return records_; }
  // Since the process started, or the config had the source first.
  const std::shared_ptr<SourceMetrics>& metrics() const { return metrics_; }

 private:
  // Constant after construction.
  const WebhookSource config_;
  const std::shared_ptr<SourceMetrics> metrics_;

  // Do their own locking.
  const SourceRecords records_;
  absl::optional<RateLimiter> rate_limiter_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_SOURCE_H_
