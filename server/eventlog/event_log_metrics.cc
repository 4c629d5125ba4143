#include "server/eventlog/event_log_metrics.h"

namespace hookgate {
namespace {

// From a fast disk to one that keeps senders waiting. etcd's advice for a disk is a p99 below 25
// ms.
constexpr double kCommitBounds[] = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5};

constexpr MetricInfo kCommitDuration = {
    "hookgate_log_commit_duration_seconds", MetricType::kHistogram,
    "Time that a transaction of the log took that was committed, with its sync.", kCommitBounds};
constexpr MetricInfo kCommits = {"hookgate_log_commits_total", MetricType::kCounter,
                                 "Transactions of the log: committed (ok), or not since it was "
                                 "locked (busy), the disk was full, "
                                 "or for another reason (failed)."};
constexpr MetricInfo kQueuedWebhooks = {"hookgate_log_queue_webhooks", MetricType::kGauge,
                                        "Webhooks that wait for the disk."};
constexpr MetricInfo kQueuedBytes = {"hookgate_log_queue_bytes", MetricType::kGauge,
                                     "Bytes of the webhooks that wait for the disk."};
constexpr MetricInfo kHead = {"hookgate_log_head_sequence", MetricType::kGauge,
                              "Sequence of the newest event; 0 if there never was one."};
constexpr MetricInfo kEarliest = {"hookgate_log_earliest_sequence", MetricType::kGauge,
                                  "Sequence of the oldest event that is held."};
constexpr MetricInfo kEventsRemoved = {"hookgate_retention_removed_events_total",
                                       MetricType::kCounter,
                                       "Events that were removed for their age or the log's size."};
constexpr MetricInfo kQuarantineRemoved = {"hookgate_quarantine_removed_total",
                                           MetricType::kCounter,
                                           "Webhooks that left the quarantine: released or "
                                           "discarded by a person, or removed by its limits of "
                                           "age or number, which is a loss."};

}  // namespace

EventLogMetrics::EventLogMetrics(MetricRegistry& metrics, const Clock& clock)
    : clock_(clock),
      commit_duration_(metrics.AddHistogram(kCommitDuration)),
      commits_({metrics.AddCounter(kCommits, {{"result", "ok"}}),
                metrics.AddCounter(kCommits, {{"result", "busy"}}),
                metrics.AddCounter(kCommits, {{"result", "full"}}),
                metrics.AddCounter(kCommits, {{"result", "failed"}})}),
      queued_webhooks_(metrics.AddGauge(kQueuedWebhooks)),
      queued_bytes_(metrics.AddGauge(kQueuedBytes)),
      head_(metrics.AddGauge(kHead)),
      earliest_(metrics.AddGauge(kEarliest)),
      events_removed_for_age_(metrics.AddCounter(kEventsRemoved, {{"reason", "age"}})),
      events_removed_for_size_(metrics.AddCounter(kEventsRemoved, {{"reason", "size"}})),
      quarantine_removed_for_age_(metrics.AddCounter(kQuarantineRemoved, {{"reason", "age"}})),
      quarantine_removed_for_number_(
          metrics.AddCounter(kQuarantineRemoved, {{"reason", "number"}})),
      quarantine_released_(metrics.AddCounter(kQuarantineRemoved, {{"reason", "released"}})),
      quarantine_discarded_(metrics.AddCounter(kQuarantineRemoved, {{"reason", "discarded"}})) {}

void EventLogMetrics::NoteCommit(const absl::Status& outcome, absl::Duration took) {
  if (outcome.ok()) {
    commits_[kOk]->Add();
    commit_duration_->Observe(took);
  } else if (absl::IsUnavailable(outcome)) {
    commits_[kBusy]->Add();
  } else if (absl::IsResourceExhausted(outcome)) {
    commits_[kFull]->Add();
  } else {
    commits_[kFailed]->Add();
  }
}

void EventLogMetrics::NoteOutcomes(const GroupOutcomes& outcomes) {
  events_removed_for_age_->Add(outcomes.events_removed_for_age);
  events_removed_for_size_->Add(outcomes.events_removed_for_size);
  quarantine_removed_for_age_->Add(outcomes.removed_from_quarantine -
                                   outcomes.removed_from_quarantine_for_number);
  quarantine_removed_for_number_->Add(outcomes.removed_from_quarantine_for_number);
  quarantine_released_->Add(outcomes.released_from_quarantine);
  quarantine_discarded_->Add(outcomes.discarded_from_quarantine);
  if (outcomes.quarantined + outcomes.removed_from_quarantine + outcomes.released_from_quarantine +
          outcomes.discarded_from_quarantine >
      0) {
    quarantine_changes_.fetch_add(1, std::memory_order_release);
  }
}

void EventLogMetrics::NotePosition(const EventLogPosition& position) {
  head_->Set(position.head);
  earliest_->Set(position.earliest);
}

}  // namespace hookgate
