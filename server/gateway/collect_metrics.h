// The metrics that are kept nowhere else: what each part says of itself when it is asked in a
// scrape.
#ifndef HOOKGATE_SERVER_GATEWAY_COLLECT_METRICS_H_
#define HOOKGATE_SERVER_GATEWAY_COLLECT_METRICS_H_

#include <atomic>
#include <cstdint>

#include "server/cluster/replica.h"
#include "server/delivery/subscription_registry.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/eventlog/storage_watch.h"
#include "server/http/http_server.h"
#include "server/ingest/source_registry.h"
#include "server/metrics/metric_registry.h"
#include "server/rpc/rpc_server.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

// What the gateway itself knows and a scrape tells. Thread-safe.
struct GatewayGauges {
  std::atomic<bool> draining = false;
  std::atomic<bool> last_reload_successful = true;  // the start counts as one
  std::atomic<int64_t> config_time_us = 0;          // when the last one that was successful came
  std::atomic<int64_t> max_bytes = 0;               // storage.max_bytes; 0: none
  // The admin port's, once it is there: a scrape may come a moment before.
  std::atomic<const HttpServer*> admin = nullptr;
};

// Whom a scrape asks. All of it outlives the last scrape.
struct MetricSources {
  const GatewayGauges& gateway;
  const SourceRegistry& sources;
  const EventLogMetrics& log;
  const StorageWatch& storage;
  SubscriptionRegistry& subscriptions;
  const RpcServer& rpc;
  const Replica* replica;  // null: this gateway is alone
  int64_t max_rpc_connections;
  const HttpServer& webhooks;
  const CertificateStore* http_certificates;  // null: plain text
  const CertificateStore* grpc_certificates;  // the same
};

// Adds them. A scrape takes none of the locks that a commit takes, and does not wait for the disk.
void AddCollectedMetrics(const MetricSources& sources, MetricRegistry& metrics);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_COLLECT_METRICS_H_
