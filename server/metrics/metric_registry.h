// All metrics of a process, for whoever counts and for whoever scrapes. Given to the parts as an
// argument of their constructors, like Clock.
//
//   constexpr MetricInfo kEnds = {"hookgate_ends_total", MetricType::kCounter, "Ended streams."};
//   const std::shared_ptr<Counter> ends = metrics.AddCounter(kEnds, {{"code", "OK"}});
//   ends->Add();
//
// A series is there from the moment in which it is added, at 0, until nobody holds it any more.
// What is kept elsewhere anyway, such as the depth of a queue, is asked for in a scrape, by a
// collector.
//
// It is not prometheus-cpp: there, a histogram's Observe waits for a scrape that reads it, so that
// a commit would; it does not write OpenMetrics; and Debian has no static library of it.
#ifndef HOOKGATE_SERVER_METRICS_METRIC_REGISTRY_H_
#define HOOKGATE_SERVER_METRICS_METRIC_REGISTRY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/metrics/metric.h"
#include "server/metrics/metric_text.h"

namespace hookgate {

// What collectors have to say in one scrape.
class MetricSamples {
 public:
  // `info` is one of those that the collector was added with.
  void Add(const MetricInfo& info, const MetricLabels& labels, int64_t value);
  void Add(const MetricInfo& info, const MetricLabels& labels, double value);

 private:
  friend class MetricRegistry;
  std::map<absl::string_view, std::string> lines_;  // by the metric's name
};

// Thread-safe. Its lock is held while a series is added, and while a scrape looks which there are;
// neither counting nor formatting needs it.
class MetricRegistry {
 public:
  MetricRegistry() = default;
  MetricRegistry(const MetricRegistry&) = delete;
  MetricRegistry& operator=(const MetricRegistry&) = delete;

  // Each adds a series at 0. If there is one with the same labels, the new one is shown in its
  // place.
  // REQUIRES: a name always stands for the same `info`, of the type that is added.
  std::shared_ptr<Counter> AddCounter(const MetricInfo& info, const MetricLabels& labels = {});
  std::shared_ptr<Gauge> AddGauge(const MetricInfo& info, const MetricLabels& labels = {});
  std::shared_ptr<Histogram> AddHistogram(const MetricInfo& info, const MetricLabels& labels = {});

  // A scrape says what the metric is from now on, also while it has no series.
  void Declare(const MetricInfo& info);

  // Has `collect` called in each scrape, by the thread that scrapes: it must not wait for a commit
  // or the disk. It says the series of `infos`, of which nobody else adds any. What it refers to
  // outlives the last scrape.
  using Collect = std::function<void(MetricSamples&)>;
  void AddCollector(const std::vector<const MetricInfo*>& infos, Collect collect);

  // A scrape. Metrics are in the order of their names, and also those that have no series now.
  std::string Write(MetricFormat format);

 private:
  struct Series {
    explicit Series(const MetricInfo& info, std::string label_text)
        : histogram(info.bounds), labels(std::move(label_text)) {}

    Counter counter;
    Gauge gauge;
    Histogram histogram;
    const std::string labels;
  };
  struct Metric {
    const MetricInfo* info = nullptr;
    absl::btree_map<std::string, std::weak_ptr<Series>> series;  // by their labels' text
  };
  // What there is in one scrape.
  struct Found {
    const MetricInfo* info;
    std::vector<std::shared_ptr<const Series>> series;
  };

  std::shared_ptr<Series> AddSeries(const MetricInfo& info, const MetricLabels& labels)
      ABSL_LOCKS_EXCLUDED(mu_);
  std::vector<Found> FindAll(std::vector<std::shared_ptr<const Collect>>& collectors)
      ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  absl::btree_map<std::string, Metric> metrics_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<const Collect>> collectors_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_METRICS_METRIC_REGISTRY_H_
