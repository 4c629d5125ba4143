#include "server/delivery/subscription_metrics.h"

#include <algorithm>
#include <utility>

namespace hookgate {
namespace {

constexpr double kAckLatencyBounds[] = {.01, .1, 1, 5, 30, 300, 3600, 86400};

constexpr MetricInfo kSettled = {"hookgate_subscription_settled_total", MetricType::kCounter,
                                 "Events of a durable subscription that were acked, dead-lettered "
                                 "or discarded as dead letters, and "
                                 "attempts that ended in a nack or because their deadline passed."};
constexpr MetricInfo kAckLatency = {
    "hookgate_subscription_ack_latency_seconds", MetricType::kHistogram,
    "Time from an event having been received to its ack being durable.", kAckLatencyBounds};
constexpr MetricInfo kLost = {
    "hookgate_subscription_lost_events_total", MetricType::kCounter,
    "Events that retention removed before the durable subscription had settled them."};

std::shared_ptr<Counter> AddSettled(const std::string& subscription, const char* outcome,
                                    MetricRegistry& metrics) {
  return metrics.AddCounter(kSettled, {{"subscription", subscription}, {"outcome", outcome}});
}

}  // namespace

SubscriptionMetrics::SubscriptionMetrics(const std::string& subscription, bool histograms,
                                         MetricRegistry& metrics)
    : acked_(AddSettled(subscription, "acked", metrics)),
      nacked_(AddSettled(subscription, "nacked", metrics)),
      deadline_passed_(AddSettled(subscription, "deadline_passed", metrics)),
      dead_lettered_(AddSettled(subscription, "dead_lettered", metrics)),
      discarded_(AddSettled(subscription, "discarded", metrics)),
      lost_(metrics.AddCounter(kLost, {{"subscription", subscription}})),
      ack_latency_(histograms ? metrics.AddHistogram(kAckLatency, {{"subscription", subscription}})
                              : nullptr) {}

void SubscriptionMetrics::Count(const SettlementCounts& counts, absl::Time now) {
  acked_->Add(static_cast<int64_t>(counts.acked_us.size()));
  nacked_->Add(counts.nacked);
  deadline_passed_->Add(counts.deadline_passed);
  dead_lettered_->Add(counts.dead_lettered);
  discarded_->Add(counts.discarded);
  lost_->Add(counts.lost);
  if (ack_latency_ == nullptr) return;
  const int64_t now_us = absl::ToUnixMicros(now);
  for (const int64_t received_us : counts.acked_us) {
    ack_latency_->Observe(static_cast<double>(std::max<int64_t>(now_us - received_us, 0)) * 1e-6);
  }
}

SubscriptionMetricsPool::SubscriptionMetricsPool(const SubscriptionMetricsOptions& options,
                                                 MetricRegistry& metrics)
    : options_(options), metrics_(metrics) {
  metrics.Declare(kSettled);
  metrics.Declare(kLost);
  if (options.histograms) metrics.Declare(kAckLatency);
}

std::shared_ptr<SubscriptionMetrics> SubscriptionMetricsPool::Add(const std::string& subscription) {
  // Counts before it looks, so that two that come at one time do not both find the last place.
  if (count_->fetch_add(1) >= options_.max_subscriptions) {
    count_->fetch_sub(1);
    return nullptr;
  }
  auto* const made = new SubscriptionMetrics(subscription, options_.histograms, metrics_);
  return std::shared_ptr<SubscriptionMetrics>(made, [count = count_](SubscriptionMetrics* gone) {
    delete gone;
    count->fetch_sub(1);
  });
}

}  // namespace hookgate
