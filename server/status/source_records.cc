#include "server/status/source_records.h"

#include <algorithm>
#include <utility>

#include "absl/types/optional.h"

namespace hookgate {
namespace {

absl::optional<absl::Time> TimeOf(const std::atomic<int64_t>& micros) {
  const int64_t value = micros.load(std::memory_order_relaxed);
  if (value == 0) return absl::nullopt;
  return absl::FromUnixMicros(value);
}

int64_t MicrosOf(const absl::optional<absl::Time>& time) {
  return time.has_value() ? absl::ToUnixMicros(*time) : 0;
}

// Of two threads that count at one time, the later number stays.
void RaiseTo(int64_t value, std::atomic<int64_t>& counter) {
  int64_t before = counter.load(std::memory_order_relaxed);
  while (before < value &&
         !counter.compare_exchange_weak(before, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

SourceStatus SourceRecord::status() const {
  return {.webhooks = webhooks.load(std::memory_order_relaxed),
          .last_webhook = TimeOf(last_webhook)};
}

SecretRecord::SecretRecord(int64_t generation, absl::Time first_configured)
    : generation(generation), first_configured(absl::ToUnixMicros(first_configured)) {}

SecretRecord::SecretRecord(const SecretStatus& stored)
    : generation(stored.generation),
      first_configured(absl::ToUnixMicros(stored.first_configured)),
      last_verified(MicrosOf(stored.last_verified)),
      last_needed(MicrosOf(stored.last_needed)),
      webhooks_then(stored.webhooks_then) {}

SecretStatus SecretRecord::status() const {
  return {.generation = generation,
          .first_configured = absl::FromUnixMicros(first_configured),
          .last_verified = TimeOf(last_verified),
          .last_needed = TimeOf(last_needed),
          .webhooks_then = webhooks_then.load(std::memory_order_relaxed)};
}

SourceRecords::SourceRecords(std::shared_ptr<SourceRecord> source,
                             std::vector<std::shared_ptr<SecretRecord>> secrets)
    : source_(std::move(source)), secrets_(std::move(secrets)) {}

void SourceRecords::NoteWebhook(absl::Span<const size_t> secret_indices,
                                absl::Time receive_time) const {
  const int64_t time = absl::ToUnixMicros(receive_time);
  const int64_t count = source_->webhooks.fetch_add(1, std::memory_order_relaxed) + 1;
  source_->last_webhook.store(time, std::memory_order_relaxed);
  int64_t newest = 0;
  for (const size_t index : secret_indices) {
    secrets_[index]->last_verified.store(time, std::memory_order_relaxed);
    newest = std::max(newest, secrets_[index]->generation);
  }
  for (const size_t index : secret_indices) {
    if (secrets_[index]->generation < newest) continue;
    secrets_[index]->last_needed.store(time, std::memory_order_relaxed);
    RaiseTo(count, secrets_[index]->webhooks_then);
  }
}

}  // namespace hookgate
