#include "server/ingest/source_registry.h"

#include <utility>

namespace hookgate {

SourceRegistry::SourceRegistry(std::vector<WebhookSource> sources, const Clock& clock)
    : clock_(clock) {
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
  Map sources;
  for (WebhookSource& config : configs) {
    std::string name = config.name;
    auto source = std::make_shared<Source>(std::move(config), clock_);
    if (const std::shared_ptr<Source> previous = Find(name); previous != nullptr) {
      source->Inherit(*previous);
    }
    sources.emplace(std::move(name), std::move(source));
  }
  absl::MutexLock lock(&mu_);
  sources_.swap(sources);
}

}  // namespace hookgate
