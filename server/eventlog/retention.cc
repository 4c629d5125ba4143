#include "server/eventlog/retention.h"

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "server/base/current_thread.h"
#include "server/base/logging.h"

namespace hookgate {
namespace {

// Removing takes the writer's time, and the disk's when its pages go through the write-ahead log,
// and webhooks wait for both. So after each step it rests so many times as long as that took:
// without, the p99 of answers was 19 times as high meanwhile, with 6 times as long 2.4 to 3.7
// times, with 20 times 1.3 to 1.6 times (bazel/bench --cases=retention). It removes some 6,000
// events a second then, more than half a billion a day.
constexpr int kRestOfStep = 20;

// A log that stays above its limit says so this often.
constexpr absl::Duration kWarningInterval = absl::Hours(1);

void LogOutcome(Severity severity, absl::string_view what, const absl::StatusOr<int64_t>& removed,
                absl::Time cutoff, absl::optional<int64_t> max_bytes = absl::nullopt) {
  if (!removed.ok()) {
    Log(Severity::kWarning, "what is old could not be removed; trying again later",
        {{"what", what}, {"error", removed.status().ToString()}});
    return;
  }
  if (*removed == 0) return;
  const std::string received_before = absl::FormatTime(cutoff, absl::UTCTimeZone());
  if (max_bytes.has_value()) {
    Log(severity, "removed what is old, or more than the log may hold",
        {{"what", what},
         {"removed", *removed},
         {"received_before", received_before},
         {"max_bytes", *max_bytes}});
  } else {
    Log(severity, "removed what is old",
        {{"what", what}, {"removed", *removed}, {"received_before", received_before}});
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
  NameThread("retention");
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
    mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return HasNews(); },
                         interval_);
  }
}

bool Retention::Rest(absl::Duration step) {
  MonotonicMutexLock lock(&mu_);
  return !mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return HasNews(); },
                               kRestOfStep * step);
}

void Retention::Trim(const RetentionLimits& limits) {
  const absl::Time now = clock_.WallNow();
  const TrimCutoffs cutoffs = {.settled = now - limits.max_event_age,
                               .unsettled = now - limits.max_unsettled_age,
                               .max_bytes = limits.max_bytes,
                               .excess = now - kMinEventAge};
  bool finished = true;
  absl::Duration step_begin = clock_.MonotonicNow();
  const absl::StatusOr<int64_t> removed = log_.Trim(cutoffs, [&] {
    finished = Rest(clock_.MonotonicNow() - step_begin);
    step_begin = clock_.MonotonicNow();
    return finished;
  });
  LogOutcome(
      Severity::kInfo, "events", removed, cutoffs.settled,
      limits.max_bytes == kNoMaxBytes ? absl::nullopt : absl::optional<int64_t>(limits.max_bytes));
  if (removed.value_or(0) > 0) trimmed_();
  if (removed.ok() && finished) CheckUse(limits);
  const absl::Time quarantine_cutoff = now - limits.max_quarantine_age;
  // A warning: nobody has looked at them, and they were signed.
  LogOutcome(Severity::kWarning, "webhooks in quarantine",
             log_.TrimQuarantine(quarantine_cutoff, limits.max_quarantine_entries),
             quarantine_cutoff);
}

void Retention::CheckUse(const RetentionLimits& limits) {
  const absl::StatusOr<int64_t> used =
      limits.max_bytes == kNoMaxBytes ? absl::StatusOr<int64_t>(0) : log_.UsedBytes();
  if (!used.ok()) {
    Log(Severity::kWarning, "the log does not tell how much it stores",
        {{"error", used.status().ToString()}});
    return;
  }
  if (*used <= limits.max_bytes) {
    if (warned_at_.has_value()) Log(Severity::kInfo, "the log is within its limit of bytes again");
    warned_at_.reset();
    return;
  }
  const absl::Duration now = clock_.MonotonicNow();
  if (warned_at_.has_value() && now - *warned_at_ < kWarningInterval) return;
  warned_at_ = now;
  Log(Severity::kWarning,
      "the log is above storage.max_bytes, and may remove nothing more: what it holds is too "
      "young, or owed to durable subscriptions, or no event; have room on the disk, or fewer "
      "webhooks",
      {{"used_bytes", *used},
       {"max_bytes", limits.max_bytes},
       {"events_stay_for", absl::FormatDuration(kMinEventAge)}});
}

}  // namespace hookgate
