#include "server/metrics/metric_registry.h"

namespace hookgate {
namespace {

// A scrape begins with room for what most of them are.
constexpr size_t kUsualBytes = 64 << 10;

}  // namespace

void MetricSamples::Add(const MetricInfo& info, const MetricLabels& labels, int64_t value) {
  AppendSample(info.name, LabelText(labels), value, lines_[info.name]);
}

void MetricSamples::Add(const MetricInfo& info, const MetricLabels& labels, double value) {
  AppendSample(info.name, LabelText(labels), value, lines_[info.name]);
}

std::shared_ptr<MetricRegistry::Series> MetricRegistry::AddSeries(const MetricInfo& info,
                                                                  const MetricLabels& labels) {
  auto series = std::make_shared<Series>(info, LabelText(labels));
  absl::MutexLock lock(&mu_);
  Metric& metric = metrics_[info.name];
  metric.info = &info;
  metric.series[series->labels] = series;
  return series;
}

std::shared_ptr<Counter> MetricRegistry::AddCounter(const MetricInfo& info,
                                                    const MetricLabels& labels) {
  const std::shared_ptr<Series> series = AddSeries(info, labels);
  return {series, &series->counter};
}

std::shared_ptr<Gauge> MetricRegistry::AddGauge(const MetricInfo& info,
                                                const MetricLabels& labels) {
  const std::shared_ptr<Series> series = AddSeries(info, labels);
  return {series, &series->gauge};
}

std::shared_ptr<Histogram> MetricRegistry::AddHistogram(const MetricInfo& info,
                                                        const MetricLabels& labels) {
  const std::shared_ptr<Series> series = AddSeries(info, labels);
  return {series, &series->histogram};
}

void MetricRegistry::Declare(const MetricInfo& info) {
  absl::MutexLock lock(&mu_);
  metrics_[info.name].info = &info;
}

void MetricRegistry::AddCollector(const std::vector<const MetricInfo*>& infos, Collect collect) {
  absl::MutexLock lock(&mu_);
  for (const MetricInfo* const info : infos) metrics_[info->name].info = info;
  collectors_.push_back(std::make_shared<const Collect>(std::move(collect)));
}

std::vector<MetricRegistry::Found> MetricRegistry::FindAll(
    std::vector<std::shared_ptr<const Collect>>& collectors) {
  std::vector<Found> all;
  absl::MutexLock lock(&mu_);
  collectors = collectors_;
  for (auto& [name, metric] : metrics_) {
    Found& found = all.emplace_back(Found{metric.info, {}});
    found.series.reserve(metric.series.size());
    for (auto at = metric.series.begin(); at != metric.series.end();) {
      std::shared_ptr<const Series> series = at->second.lock();
      if (series == nullptr) {
        at = metric.series.erase(at);
      } else {
        found.series.push_back(std::move(series));
        ++at;
      }
    }
  }
  return all;
}

std::string MetricRegistry::Write(MetricFormat format) {
  std::vector<std::shared_ptr<const Collect>> collectors;
  const std::vector<Found> all = FindAll(collectors);
  MetricSamples samples;
  for (const auto& collect : collectors) (*collect)(samples);
  std::string text;
  text.reserve(kUsualBytes);
  for (const Found& found : all) {
    AppendHead(*found.info, format, text);
    for (const auto& series : found.series) {
      switch (found.info->type) {
        case MetricType::kCounter:
          AppendSample(found.info->name, series->labels, series->counter.value(), text);
          break;
        case MetricType::kGauge:
        case MetricType::kInfo:
          AppendSample(found.info->name, series->labels, series->gauge.value(), text);
          break;
        case MetricType::kHistogram:
          AppendHistogram(found.info->name, series->labels, series->histogram, text);
          break;
      }
    }
    const auto collected = samples.lines_.find(found.info->name);
    if (collected != samples.lines_.end()) text += collected->second;
  }
  AppendEnd(format, text);
  return text;
}

}  // namespace hookgate
