#include "server/ingest/source.h"

#include <utility>

namespace hookgate {

Source::Source(WebhookSource config, const Clock& clock)
    : config_(std::move(config)), last_verified_(config_.secrets.size()) {
  if (config_.rate_limit.has_value()) rate_limiter_.emplace(*config_.rate_limit, clock);
}

absl::Duration Source::TakeFromRate() {
  return rate_limiter_.has_value() ? rate_limiter_->Take() : absl::ZeroDuration();
}

void Source::NoteVerified(size_t secret_index, absl::Time time) {
  last_verified_[secret_index].store(absl::ToUnixMicros(time), std::memory_order_relaxed);
}

absl::optional<absl::Time> Source::last_verified(size_t secret_index) const {
  const int64_t micros = last_verified_[secret_index].load(std::memory_order_relaxed);
  if (micros == 0) return absl::nullopt;
  return absl::FromUnixMicros(micros);
}

void Source::Inherit(const Source& previous) {
  for (size_t i = 0; i < config_.secrets.size(); ++i) {
    for (size_t j = 0; j < previous.config_.secrets.size(); ++j) {
      if (config_.secrets[i].name() == previous.config_.secrets[j].name() &&
          config_.secrets[i].SameKeyAs(previous.config_.secrets[j])) {
        last_verified_[i] = previous.last_verified_[j].load();
      }
    }
  }
}

}  // namespace hookgate
