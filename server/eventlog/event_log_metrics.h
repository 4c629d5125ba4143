// What is counted and measured of the log: its writer counts here, and a scrape reads it without
// asking the writer or the disk.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_METRICS_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/eventlog/event_log.h"
#include "server/eventlog/status_rows.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

// Thread-safe.
class EventLogMetrics {
 public:
  // Both outlive it.
  EventLogMetrics(MetricRegistry& metrics, const Clock& clock);

  absl::Duration MonotonicNow() const { return clock_.MonotonicNow(); }

  // A transaction that had something to write, and took so long: whether it was committed, or why
  // not.
  void NoteCommit(const absl::Status& outcome, absl::Duration took);
  // What a committed group did.
  void NoteOutcomes(const GroupOutcomes& outcomes);
  void NotePosition(const EventLogPosition& position);
  // What waits for the writer, without what gives way.
  void NoteQueue(int64_t webhooks, int64_t bytes) {
    queued_webhooks_->Set(webhooks);
    queued_bytes_->Set(bytes);
  }
  // Whether the log can be written, as far as the writer knows.
  void NoteHealth(bool healthy) { healthy_.store(healthy, std::memory_order_relaxed); }

  bool healthy() const { return healthy_.load(std::memory_order_relaxed); }
  Sequence head() const { return head_->value(); }
  // Counts up when the quarantine has changed.
  int64_t quarantine_changes() const { return quarantine_changes_.load(std::memory_order_acquire); }

 private:
  enum Result : size_t { kOk, kBusy, kFull, kFailed, kResults };

  // Constant after construction.
  const Clock& clock_;
  const std::shared_ptr<Histogram> commit_duration_;
  std::array<std::shared_ptr<Counter>, kResults> commits_;
  const std::shared_ptr<Gauge> queued_webhooks_;
  const std::shared_ptr<Gauge> queued_bytes_;
  const std::shared_ptr<Gauge> head_;
  const std::shared_ptr<Gauge> earliest_;
  const std::shared_ptr<Counter> events_removed_for_age_;
  const std::shared_ptr<Counter> events_removed_for_size_;
  const std::shared_ptr<Counter> quarantine_removed_for_age_;
  const std::shared_ptr<Counter> quarantine_removed_for_number_;
  const std::shared_ptr<Counter> quarantine_released_;
  const std::shared_ptr<Counter> quarantine_discarded_;

  std::atomic<bool> healthy_ = true;
  std::atomic<int64_t> quarantine_changes_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_METRICS_H_
