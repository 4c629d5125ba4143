#include "server/eventlog/retention.h"

#include <algorithm>
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

// Rows of history are small, and come as fast as events are acked: with this some 40,000 a second
// go.
constexpr int kRestOfHistoryStep = 5;

// A row of history with its index. Of max_bytes, the history takes a quarter at most.
constexpr int64_t kHistoryRowBytes = 128;
constexpr int64_t kHistoryShare = 4;

// A log that stays above its limit says so this often.
constexpr absl::Duration kWarningInterval = absl::Hours(1);

void LogOutcome(Severity severity, absl::string_view what, const absl::StatusOr<int64_t>& removed,
                absl::Duration max_age, absl::string_view bound, absl::optional<int64_t> limit) {
  if (!removed.ok()) {
    Log(Severity::kWarning, "old data could not be removed; trying again later",
        {{"what", what}, {"error", removed.status().ToString()}});
    return;
  }
  if (*removed == 0) return;
  const std::string older_than = absl::FormatDuration(max_age);
  if (limit.has_value()) {
    Log(severity, "removed what is older or larger than the limits allow",
        {{"what", what}, {"removed", *removed}, {"older_than", older_than}, {bound, *limit}});
  } else {
    Log(severity, "removed old data",
        {{"what", what}, {"removed", *removed}, {"older_than", older_than}});
  }
}

void LogJump(absl::Duration jump) {
  Log(Severity::kWarning,
      "the wall clock was set; nothing is removed because of it, since stored data ages by the "
      "time "
      "that the log is open",
      {{"direction", jump > absl::ZeroDuration() ? "forward" : "back"},
       {"by", absl::FormatDuration(absl::AbsDuration(absl::Trunc(jump, absl::Seconds(1))))}});
}

}  // namespace

Retention::Retention(const RetentionLimits& limits, absl::Duration interval, RetentionTarget& log,
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
    if (NoteTime(limits)) {
      Trim(limits);
      TrimQuarantine(limits);
      TrimHistory(limits);
      TrimConflicts(limits);
    }
    bool stopping = false;
    {
      MonotonicMutexLock lock(&mu_);
      mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return HasNews(); },
                           interval_);
      stopping = stopping_;
    }
    if (stopping && NoteTime(limits)) StoreAges(/*all=*/true);
  }
}

bool Retention::Rest(absl::Duration step, int times) {
  MonotonicMutexLock lock(&mu_);
  return !mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return HasNews(); },
                               times * step);
}

bool Retention::NoteTime(const RetentionLimits& limits) {
  const EventLogEnds ends = log_.Ends();
  const absl::Time wall = clock_.WallNow();
  const absl::Duration monotonic = clock_.MonotonicNow();
  if (!ages_.has_value()) {
    const absl::StatusOr<StoredAges> stored = log_.LoadAges(wall);
    if (!stored.ok()) {
      Log(Severity::kWarning,
          "the age of the event log could not be read; nothing is removed until it can",
          {{"error", stored.status().ToString()}});
      return false;
    }
    ages_.emplace(*stored, ends, wall, monotonic);
  }
  const absl::Duration before = ages_->uncredited();
  if (const absl::Duration jump = ages_->Advance(ends, wall, monotonic);
      jump != absl::ZeroDuration()) {
    LogJump(jump);
  }
  const absl::Duration uncredited = ages_->uncredited();
  if (uncredited >= EventAges::kLeastCredit && !std::exchange(told_uncredited_, true)) {
    Log(Severity::kWarning,
        "by the wall clock the event log was closed for a while; stored data ages by that time "
        "once the "
        "clock has not been set for a day: if the clock is wrong, set it before then",
        {{"closed_for", absl::FormatDuration(absl::Trunc(uncredited, absl::Seconds(1)))}});
  } else if (before >= EventAges::kLeastCredit && uncredited < EventAges::kLeastCredit) {
    told_uncredited_ = false;
    Log(Severity::kInfo, "stored data has aged by the time for which the event log was closed",
        {{"by_the_wall_clock", absl::FormatDuration(absl::Trunc(before, absl::Seconds(1)))}});
  }
  ages_->Forget(std::max({limits.max_event_age, limits.max_unsettled_age, limits.max_quarantine_age,
                          limits.max_history_age, limits.max_conflict_age, kMinEventAge}));
  StoreAges(/*all=*/false);
  return true;
}

// What cannot be stored now is tried again; the log itself says why it cannot be written.
void Retention::StoreAges(bool all) {
  const AgeChanges changes = ages_->Changes(all);
  if (log_.StoreAges(changes).ok()) ages_->Stored(changes);
}

void Retention::Trim(const RetentionLimits& limits) {
  const Sequence repeatable = ages_->OpenFor(kMinEventAge).sequence;
  const TrimCutoffs cutoffs = {
      .settled = std::min(ages_->OlderThan(limits.max_event_age).sequence, repeatable),
      .unsettled = std::min(ages_->OlderThan(limits.max_unsettled_age).sequence, repeatable),
      .max_bytes = limits.max_bytes,
      .excess = repeatable};
  bool finished = true;
  absl::Duration step_begin = clock_.MonotonicNow();
  const absl::StatusOr<int64_t> removed = log_.Trim(cutoffs, [&] {
    finished = Rest(clock_.MonotonicNow() - step_begin, kRestOfStep);
    step_begin = clock_.MonotonicNow();
    return finished;
  });
  LogOutcome(
      Severity::kInfo, "events", removed, limits.max_event_age, "max_bytes",
      limits.max_bytes == kNoMaxBytes ? absl::nullopt : absl::optional<int64_t>(limits.max_bytes));
  if (removed.value_or(0) > 0) trimmed_();
  if (removed.ok() && finished) CheckUse(limits);
}

void Retention::TrimQuarantine(const RetentionLimits& limits) {
  absl::Duration step_begin = clock_.MonotonicNow();
  const absl::StatusOr<int64_t> removed = log_.TrimQuarantine(
      {.touch = ages_->OlderThan(limits.max_quarantine_age).touch,
       .max_entries = limits.max_quarantine_entries},
      [&] {
        const bool rested = Rest(clock_.MonotonicNow() - step_begin, kRestOfStep);
        step_begin = clock_.MonotonicNow();
        return rested;
      });
  // A warning: nobody has looked at them, and they were signed.
  LogOutcome(Severity::kWarning, "webhooks in quarantine", removed, limits.max_quarantine_age,
             "max_entries", limits.max_quarantine_entries);
}

// One pass ends when the next one is due at the latest: it takes care of what came meanwhile. It
// says nothing of what it has removed, since where much is acked that is something each time.
void Retention::TrimHistory(const RetentionLimits& limits) {
  const absl::Duration begin = clock_.MonotonicNow();
  absl::Duration step_begin = begin;
  const absl::StatusOr<int64_t> removed = log_.TrimHistory(
      {.head = ages_->OlderThan(limits.max_history_age).sequence,
       .max_rows =
           std::min(limits.max_history_rows, limits.max_bytes / kHistoryShare / kHistoryRowBytes)},
      [&] {
        const bool rested = Rest(clock_.MonotonicNow() - step_begin, kRestOfHistoryStep);
        step_begin = clock_.MonotonicNow();
        return rested && step_begin - begin < interval_;
      });
  if (removed.ok()) return;
  Log(Severity::kWarning, "old data could not be removed; trying again later",
      {{"what", "history of deliveries"}, {"error", removed.status().ToString()}});
}

void Retention::TrimConflicts(const RetentionLimits& limits) {
  absl::Duration step_begin = clock_.MonotonicNow();
  const absl::StatusOr<int64_t> removed = log_.TrimConflicts(
      {.touch = ages_->OlderThan(limits.max_conflict_age).touch,
       .max_entries = limits.max_conflict_entries,
       .max_bytes = limits.max_conflict_bytes},
      [&] {
        const bool rested = Rest(clock_.MonotonicNow() - step_begin, kRestOfStep);
        step_begin = clock_.MonotonicNow();
        return rested;
      });
  // A warning, as for the quarantine.
  LogOutcome(Severity::kWarning, "conflicts", removed, limits.max_conflict_age, "max_entries",
             limits.max_conflict_entries);
}

void Retention::CheckUse(const RetentionLimits& limits) {
  const absl::StatusOr<int64_t> used =
      limits.max_bytes == kNoMaxBytes ? absl::StatusOr<int64_t>(0) : log_.UsedBytes();
  if (!used.ok()) {
    Log(Severity::kWarning, "the size of the event log could not be read",
        {{"error", used.status().ToString()}});
    return;
  }
  if (*used <= limits.max_bytes) {
    if (warned_at_.has_value())
      Log(Severity::kInfo, "the event log is within storage.max_bytes again");
    warned_at_.reset();
    return;
  }
  const absl::Duration now = clock_.MonotonicNow();
  if (warned_at_.has_value() && now - *warned_at_ < kWarningInterval) return;
  warned_at_ = now;
  Log(Severity::kWarning,
      "the event log is above storage.max_bytes, and nothing more may be removed: its events are "
      "too "
      "young or not settled by durable subscriptions, or other data takes the room; provide disk "
      "space or send fewer "
      "webhooks",
      {{"used_bytes", *used},
       {"max_bytes", limits.max_bytes},
       {"events_stay_for", absl::FormatDuration(kMinEventAge)}});
}

}  // namespace hookgate
