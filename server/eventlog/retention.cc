#include "server/eventlog/retention.h"

#include <utility>

#include "server/base/logging.h"

namespace hookgate {

Retention::Retention(absl::Duration max_age, absl::Duration interval, Trim trim,
                     const Clock& clock)
    : max_age_(max_age),
      interval_(interval),
      clock_(clock),
      trim_(std::move(trim)),
      thread_([this] { Run(); }) {}

Retention::~Retention() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Retention::Run() {
  while (true) {
    TrimOnce();
    absl::MutexLock lock(&mu_);
    if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
  }
}

void Retention::TrimOnce() {
  const absl::Time cutoff = clock_.WallNow() - max_age_;
  const absl::StatusOr<int64_t> removed = trim_(cutoff);
  if (!removed.ok()) {
    Log(Severity::kWarning, "old events could not be removed; trying again later",
        {{"error", removed.status().ToString()}});
  } else if (*removed > 0) {
    Log(Severity::kInfo, "old events removed",
        {{"events", *removed}, {"received_before", absl::FormatTime(cutoff, absl::UTCTimeZone())}});
  }
}

}  // namespace hookgate
