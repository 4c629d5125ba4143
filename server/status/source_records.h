// What is known of one source, and of each of its secrets, since the log was made.
#ifndef HOOKGATE_SERVER_STATUS_SOURCE_RECORDS_H_
#define HOOKGATE_SERVER_STATUS_SOURCE_RECORDS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/eventlog/status_rows.h"

namespace hookgate {

// Times are microseconds since the Unix epoch; 0: not yet.
struct SourceRecord {
  std::atomic<int64_t> webhooks = 0;
  std::atomic<int64_t> last_webhook = 0;
  std::atomic<int64_t> failed_signatures = 0;  // since the process was started; not stored

  SourceStatus status() const;
};

struct SecretRecord {
  SecretRecord(int64_t generation, absl::Time first_configured);
  explicit SecretRecord(const SecretStatus& stored);

  SecretStatus status() const;

  const int64_t generation;
  const int64_t first_configured;
  std::atomic<int64_t> last_verified = 0;
  std::atomic<int64_t> last_needed = 0;
  std::atomic<int64_t> webhooks_then = 0;
};

// Those of a source as it is configured. Copies share them, and so does what is configured next: a
// webhook that was under way during a reload is counted. Thread-safe.
class SourceRecords {
 public:
  // `secrets` as they stand in the config.
  SourceRecords(std::shared_ptr<SourceRecord> source,
                std::vector<std::shared_ptr<SecretRecord>> secrets);

  // A webhook came, and these secrets have verified it; at least one. The newest of them is the one
  // that was needed: with it alone in the config, the webhook would have been taken as well. Of
  // several that were configured at once nobody knows which is newer, so each was needed.
  void NoteWebhook(absl::Span<const size_t> secret_indices, absl::Time receive_time) const;

  // A webhook came that no secret has verified.
  void NoteFailedSignature() const {
    source_->failed_signatures.fetch_add(1, std::memory_order_relaxed);
  }

  SourceStatus source() const { return source_->status(); }
  int64_t failed_signatures() const {
    return source_->failed_signatures.load(std::memory_order_relaxed);
  }
  // `absent` is not filled in.
  SecretStatus secret(size_t index) const { return secrets_[index]->status(); }

 private:
  std::shared_ptr<SourceRecord> source_;
  std::vector<std::shared_ptr<SecretRecord>> secrets_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_SOURCE_RECORDS_H_
