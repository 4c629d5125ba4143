// What is counted of durable subscriptions. Each has a dozen series or two, so only a bounded
// number of them is counted.
#ifndef HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_METRICS_H_
#define HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_METRICS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/delivery/settlement_counts.h"
#include "server/metrics/metric_registry.h"

namespace hookgate {

struct SubscriptionMetricsOptions {
  int64_t max_subscriptions = 1000;
  bool histograms = true;  // of how long acks took: half of all series
};

// Of one subscription: its series are there, at 0, as long as it is. Thread-safe.
class SubscriptionMetrics {
 public:
  SubscriptionMetrics(const std::string& subscription, bool histograms, MetricRegistry& metrics);

  // These are durable now.
  void Count(const SettlementCounts& counts, absl::Time now);

 private:
  // Constant after construction.
  const std::shared_ptr<Counter> acked_;
  const std::shared_ptr<Counter> nacked_;
  const std::shared_ptr<Counter> deadline_passed_;
  const std::shared_ptr<Counter> dead_lettered_;
  const std::shared_ptr<Counter> discarded_;
  const std::shared_ptr<Counter> lost_;
  const std::shared_ptr<Histogram> ack_latency_;  // null: not wanted
};

// Thread-safe.
class SubscriptionMetricsPool {
 public:
  // `metrics` outlives the pool.
  SubscriptionMetricsPool(const SubscriptionMetricsOptions& options, MetricRegistry& metrics);

  // Null if there are as many as there may be: then that subscription is not counted, until a
  // restart finds room for it.
  std::shared_ptr<SubscriptionMetrics> Add(const std::string& subscription);

 private:
  // Constant after construction.
  const SubscriptionMetricsOptions options_;
  MetricRegistry& metrics_;  // does its own locking

  // Shared with those that are given out, which may outlive the pool.
  const std::shared_ptr<std::atomic<int64_t>> count_ = std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SUBSCRIPTION_METRICS_H_
