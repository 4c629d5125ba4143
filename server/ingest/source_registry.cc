#include "server/ingest/source_registry.h"

#include <utility>

namespace hookgate {

SourceRegistry::SourceRegistry(std::vector<WebhookSource> sources, StatusBook& book,
                               MetricRegistry& metrics, const Clock& clock)
    : clock_(clock), book_(book), metrics_(metrics) {
  Replace(std::move(sources));
}

std::shared_ptr<Source> SourceRegistry::Find(absl::string_view name) const {
  absl::ReaderMutexLock lock(&mu_);
  const auto found = sources_.find(name);
  return found == sources_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const Source>> SourceRegistry::All() const {
  absl::ReaderMutexLock lock(&mu_);
  std::vector<std::shared_ptr<const Source>> sources;
  for (const auto& [name, source] : sources_) sources.push_back(source);
  return sources;
}

std::vector<std::string> SourceRegistry::Names() const {
  absl::MutexLock lock(&mu_);
  std::vector<std::string> names;
  for (const auto& [name, source] : sources_) names.push_back(name);
  return names;
}

void SourceRegistry::Replace(std::vector<WebhookSource> configs) {
  std::vector<StatusBook::ConfiguredSource> configured;
  for (const WebhookSource& config : configs) {
    configured.push_back({.name = config.name, .secrets = config.secrets});
  }
  const std::vector<SourceRecords> records = book_.Configure(configured);
  Map sources;
  for (size_t i = 0; i < configs.size(); ++i) {
    std::string name = configs[i].name;
    // One that stays goes on counting where it was.
    const std::shared_ptr<Source> before = Find(name);
    std::shared_ptr<SourceMetrics> metrics =
        before != nullptr ? before->metrics() : std::make_shared<SourceMetrics>(name, metrics_);
    sources.emplace(std::move(name), std::make_shared<Source>(std::move(configs[i]), records[i],
                                                              std::move(metrics), clock_));
  }
  absl::MutexLock lock(&mu_);
  sources_.swap(sources);
}

}  // namespace hookgate
