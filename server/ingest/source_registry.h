// The configured sources, which may be replaced while webhooks come in.
#ifndef HOOKGATE_SERVER_INGEST_SOURCE_REGISTRY_H_
#define HOOKGATE_SERVER_INGEST_SOURCE_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "server/ingest/source.h"
#include "server/metrics/metric_registry.h"
#include "server/status/status_book.h"

namespace hookgate {

// Thread-safe.
class SourceRegistry {
 public:
  // `book`, which knows them over reloads and restarts, `metrics` and `clock` outlive the registry.
  // Names are unique.
  SourceRegistry(std::vector<WebhookSource> sources, StatusBook& book, MetricRegistry& metrics,
                 const Clock& clock);

  // Null if no source has this name. Stays as it is while whoever asked holds it.
  std::shared_ptr<Source> Find(absl::string_view name) const ABSL_LOCKS_EXCLUDED(mu_);
  // By name.
  std::vector<std::shared_ptr<const Source>> All() const ABSL_LOCKS_EXCLUDED(mu_);

  // In order.
  std::vector<std::string> Names() const ABSL_LOCKS_EXCLUDED(mu_);

  // All at once: a webhook is checked against the old sources or the new ones. Rates begin afresh.
  void Replace(std::vector<WebhookSource> sources) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  using Map = absl::btree_map<std::string, std::shared_ptr<Source>, std::less<>>;

  // Constant after construction.
  const Clock& clock_;

  // Do their own locking.
  StatusBook& book_;
  MetricRegistry& metrics_;

  mutable absl::Mutex mu_;
  Map sources_ ABSL_GUARDED_BY(mu_);
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_INGEST_SOURCE_REGISTRY_H_
