// What is counted and measured: a metric has a name, and a series for each of its sets of labels.
//
// Counting takes no lock and allocates nothing: a series is a few atomics, which whoever counts
// holds, and which a scrape reads while counting goes on.
#ifndef HOOKGATE_SERVER_METRICS_METRIC_H_
#define HOOKGATE_SERVER_METRICS_METRIC_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace hookgate {

enum class MetricType { kCounter, kGauge, kHistogram, kInfo };

// Constant, and of static storage: series refer to it. Names and units are as Prometheus advises:
// seconds and bytes, `_total` on counters alone, `_info` on a gauge that is always 1.
struct MetricInfo {
  const char* name;
  MetricType type;
  const char* help;                      // one sentence, on one line
  absl::Span<const double> bounds = {};  // of a histogram's buckets, ascending, each inclusive
};

// In the order in which they are written. The values may be any text.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

// Counts up from 0, where it starts with the process. Thread-safe.
class Counter {
 public:
  void Add(int64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// A whole number that goes up and down. Thread-safe.
class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t change) { value_.fetch_add(change, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_ = 0;
};

// How many observations were at most as large as each bound. Thread-safe. A scrape during an
// Observe may have the observation in its bucket and not in the sum yet; the count is always that
// of the buckets.
class Histogram {
 public:
  // `bounds` outlives the histogram.
  explicit Histogram(absl::Span<const double> bounds)
      : bounds_(bounds), counts_(new std::atomic<int64_t>[bounds.size() + 1]()) {}

  void Observe(double value) {
    size_t bucket = 0;
    while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }
  void Observe(absl::Duration value) { Observe(absl::ToDoubleSeconds(value)); }

  absl::Span<const double> bounds() const { return bounds_; }
  // Of the bucket that ends at that bound, without those before it; bounds().size(): of those above
  // all bounds.
  int64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const absl::Span<const double> bounds_;
  const std::unique_ptr<std::atomic<int64_t>[]> counts_;
  std::atomic<double> sum_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_METRICS_METRIC_H_
