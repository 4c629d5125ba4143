#include "server/eventlog/retention.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

void LogOutcome(Severity severity, absl::string_view what, const absl::StatusOr<int64_t>& removed,
                absl::Time cutoff) {
  if (!removed.ok()) {
    Log(Severity::kWarning, "what is old could not be removed; trying again later",
        {{"what", what}, {"error", removed.status().ToString()}});
  } else if (*removed > 0) {
    Log(severity, "removed what is old",
        {{"what", what},
         {"removed", *removed},
         {"received_before", absl::FormatTime(cutoff, absl::UTCTimeZone())}});
  }
}

}  // namespace

Retention::Retention(const RetentionLimits& limits, absl::Duration interval, Trimmable& log,
                     const Clock& clock, std::function<void()> trimmed)
    : interval_(interval),
      log_(log),
      clock_(clock),
      trimmed_(std::move(trimmed)),
      limits_(limits),
      thread_([this] { Run(); }) {}

Retention::~Retention() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Retention::SetLimits(const RetentionLimits& limits) {
  MonotonicMutexLock lock(&mu_);
  limits_ = limits;
  limits_changed_ = true;
}

void Retention::Run() {
  const auto has_news = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return limits_changed_ || stopping_;
  };
  while (true) {
    RetentionLimits limits;
    {
      MonotonicMutexLock lock(&mu_);
      if (stopping_) return;
      limits = limits_;
      limits_changed_ = false;
    }
    Trim(limits);
    MonotonicMutexLock lock(&mu_);
    mu_.AwaitWithTimeout(has_news, interval_);
  }
}

void Retention::Trim(const RetentionLimits& limits) {
  const absl::Time now = clock_.WallNow();
  const TrimCutoffs cutoffs = {.settled = now - limits.max_event_age,
                               .unsettled = now - limits.max_unsettled_age};
  const absl::StatusOr<int64_t> removed = log_.Trim(cutoffs);
  LogOutcome(Severity::kInfo, "events", removed, cutoffs.settled);
  if (removed.value_or(0) > 0) trimmed_();
  const absl::Time quarantine_cutoff = now - limits.max_quarantine_age;
  // A warning: nobody has looked at them, and they were signed.
  LogOutcome(Severity::kWarning, "webhooks in quarantine",
             log_.TrimQuarantine(quarantine_cutoff, limits.max_quarantine_entries),
             quarantine_cutoff);
}

}  // namespace hookgate
