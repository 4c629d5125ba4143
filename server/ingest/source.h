// One sender of webhooks: its config, and what is known of it since the start.
#ifndef HOOKGATE_SERVER_INGEST_SOURCE_H_
#define HOOKGATE_SERVER_INGEST_SOURCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/base/clock.h"
#include "server/base/rate_limiter.h"
#include "server/ingest/network.h"
#include "server/signature/standard_webhooks.h"

namespace hookgate {

// One configured sender.
struct WebhookSource {
  std::string name;
  std::vector<Secret> secrets;  // any of them may have signed
  absl::Duration timestamp_tolerance = absl::Seconds(300);
  absl::optional<RateLimit> rate_limit;   // none: no limit
  std::vector<Network> allowed_networks;  // whose webhooks are taken; none: anybody's
};

// Thread-safe.
class Source {
 public:
  // `clock` outlives the source.
  Source(WebhookSource config, const Clock& clock);

  const WebhookSource& config() const { return config_; }

  // How long the sender has to wait; zero: it need not, and has used up one webhook of its rate.
  absl::Duration TakeFromRate();

  void NoteVerified(size_t secret_index, absl::Time time);
  // When the secret verified a webhook for the last time; nullopt: it has not yet.
  absl::optional<absl::Time> last_verified(size_t secret_index) const;

  // Takes over what is known of the secrets that `previous` had too: same name, same key.
  void Inherit(const Source& previous);

 private:
  // Constant after construction.
  const WebhookSource config_;

  // Does its own locking.
  absl::optional<RateLimiter> rate_limiter_;

  // For each secret, in microseconds since the Unix epoch; 0: not yet.
  std::vector<std::atomic<int64_t>> last_verified_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_SOURCE_H_
