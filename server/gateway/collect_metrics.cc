#include "server/gateway/collect_metrics.h"

#include <limits>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/gateway/cluster_status.h"
#include "server/grpc_server/grpc_refusal.h"
#include "server/status/source_records.h"
#include "version/version.h"

namespace hookgate {
namespace {

constexpr MetricType kGauge = MetricType::kGauge;

constexpr MetricInfo kReady = {"hookgate_ready", kGauge,
                               "1 if webhooks are accepted, as /readyz reports; otherwise 0."};
constexpr MetricInfo kNotReady = {"hookgate_not_ready", kGauge,
                                  "1 for each reason why webhooks are not taken; otherwise 0."};
constexpr MetricInfo kBuild = {"hookgate_build_info", MetricType::kInfo,
                               "The version that runs; always 1."};
constexpr MetricInfo kReloadSuccessful = {
    "hookgate_config_last_reload_successful", kGauge,
    "1 if the config that was read last is in force; 0 if it was refused."};
constexpr MetricInfo kReloadTime = {
    "hookgate_config_last_reload_timestamp_seconds", kGauge,
    "When the config that is in force was read, in seconds since the Unix epoch."};
constexpr MetricInfo kCertificateExpiry = {
    "hookgate_tls_certificate_expiry_timestamp_seconds", kGauge,
    "When the certificate of a listener with TLS expires, in seconds since the Unix epoch."};

constexpr MetricInfo kLastWebhook = {
    "hookgate_last_webhook_timestamp_seconds", kGauge,
    "When the last webhook of a source with a valid signature arrived, "
    "also before a restart, in seconds "
    "since the Unix epoch; 0 before the first one."};
constexpr MetricInfo kSecretVerified = {"hookgate_secret_last_verified_timestamp_seconds", kGauge,
                                        "When a secret last verified a webhook, also before a "
                                        "restart, in seconds since the Unix epoch; 0 "
                                        "if it never has."};
constexpr MetricInfo kConnections = {"hookgate_http_connections", kGauge,
                                     "Connections that are open on a listener."};
constexpr MetricInfo kConnectionsLimit = {"hookgate_http_connections_limit", kGauge,
                                          "Connections that a listener may have open."};

constexpr MetricInfo kPeersRefused = {
    "hookgate_peers_refused_total", MetricType::kCounter,
    "Peers refused before their request reached a service, by the limit that they exceeded."};

constexpr MetricInfo kUsedBytes = {
    "hookgate_storage_used_bytes", kGauge,
    "What the log takes of the disk, as storage.max_bytes counts; seen within some seconds."};
constexpr MetricInfo kLimitBytes = {"hookgate_storage_limit_bytes", kGauge,
                                    "The limit storage.max_bytes; absent without one."};
constexpr MetricInfo kWalBytes = {"hookgate_storage_wal_bytes", kGauge,
                                  "Length of the write-ahead log's file, which is reused."};
constexpr MetricInfo kFreeBytes = {"hookgate_storage_free_bytes", kGauge,
                                   "What the log's file system has left."};
constexpr MetricInfo kQuarantineEntries = {"hookgate_quarantine_entries", kGauge,
                                           "Webhooks in the quarantine; seen within some seconds."};

constexpr MetricInfo kStreamsBehind = {
    "hookgate_streams_behind", kGauge,
    "Open streams that have more than 1000 stored events before them, or have not caught up yet."};
constexpr MetricInfo kSubscriptions = {"hookgate_subscriptions", kGauge,
                                       "Durable subscriptions that there are."};
constexpr MetricInfo kUncounted = {"hookgate_subscriptions_uncounted", kGauge,
                                   "Durable subscriptions without metrics of their own, since "
                                   "there are metrics.max_subscriptions."};
constexpr MetricInfo kBacklog = {"hookgate_subscription_backlog_events", kGauge,
                                 "Events that a durable subscription has not settled, those beyond "
                                 "its position included, whether "
                                 "its filter admits them or not."};
constexpr MetricInfo kOldestAge = {"hookgate_subscription_oldest_unacked_age_seconds", kGauge,
                                   "Age of the oldest event of the backlog; absent without one."};
constexpr MetricInfo kEvents = {"hookgate_subscription_events", kGauge,
                                "Events in flight, waiting for redelivery, and dead letters."};
constexpr MetricInfo kConsumers = {"hookgate_subscription_consumers", kGauge,
                                   "Names of consumers with an open stream."};
constexpr MetricInfo kPaused = {
    "hookgate_subscription_paused", kGauge,
    "1 if the subscription is paused, and hands out nothing until it is resumed; otherwise 0."};

double UnixSeconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }

double UnixSeconds(const absl::optional<absl::Time>& time) {
  return time.has_value() ? UnixSeconds(*time) : 0;
}

void CollectGateway(const MetricSources& from, MetricSamples& samples) {
  const bool draining = from.gateway.draining;
  const bool writable = from.log.healthy();
  const ReplicaReadiness replica =
      from.replica == nullptr ? ReplicaReadiness() : ReadinessOf(from.replica->Status());
  samples.Add(kReady, {}, int64_t{!draining && writable && !replica.no_leader && !replica.behind});
  samples.Add(kNotReady, {{"reason", "draining"}}, int64_t{draining});
  samples.Add(kNotReady, {{"reason", "store_unavailable"}}, int64_t{!writable});
  if (from.replica != nullptr) {
    samples.Add(kNotReady, {{"reason", "no_leader"}}, int64_t{replica.no_leader});
    samples.Add(kNotReady, {{"reason", "behind"}}, int64_t{replica.behind});
  }
  samples.Add(kBuild, {{"version", std::string(Version())}}, int64_t{1});
  samples.Add(kReloadSuccessful, {}, int64_t{from.gateway.last_reload_successful});
  samples.Add(kReloadTime, {}, static_cast<double>(from.gateway.config_time_us) * 1e-6);
  const auto add_expiry = [&](const char* listener, const CertificateStore* certificates) {
    if (certificates == nullptr) return;
    samples.Add(kCertificateExpiry, {{"listener", listener}},
                UnixSeconds(certificates->Current()->not_after));
  };
  add_expiry("http", from.http_certificates);
  add_expiry("grpc", from.grpc_certificates);
}

void CollectEdges(const MetricSources& from, MetricSamples& samples) {
  const auto add = [&](const char* listener, int64_t open, int64_t limit) {
    samples.Add(kConnections, {{"listener", listener}}, open);
    samples.Add(kConnectionsLimit, {{"listener", listener}}, limit);
  };
  add("http", from.webhooks.open_connections(), from.webhooks.max_connections());
  add("grpc", static_cast<int64_t>(from.rpc.open_connections()), from.max_rpc_connections);
  if (const HttpServer* const admin = from.gateway.admin; admin != nullptr) {
    add("admin", admin->open_connections(), admin->max_connections());
  }
  const auto add_refused = [&](const char* listener, absl::string_view reason, int64_t count) {
    samples.Add(kPeersRefused, {{"listener", listener}, {"reason", std::string(reason)}}, count);
  };
  add_refused("http", NameOf(GrpcRefusal::kTooManyHandshakes), from.webhooks.refused_handshakes());
  const GrpcRefusalCounts refusals = from.rpc.refusals();
  for (size_t i = 0; i < refusals.size(); ++i) {
    add_refused("grpc", NameOf(static_cast<GrpcRefusal>(i)), refusals[i]);
  }
}

void CollectSources(const MetricSources& from, MetricSamples& samples) {
  std::map<std::string, int64_t> quarantined = from.storage.use().quarantined;
  for (const auto& source : from.sources.All()) {
    const WebhookSource& config = source->config();
    samples.Add(kLastWebhook, {{"source", config.name}},
                UnixSeconds(source->records().source().last_webhook));
    for (size_t i = 0; i < config.secrets.size(); ++i) {
      const Secret& secret = config.secrets[i];
      samples.Add(kSecretVerified,
                  {{"source", config.name},
                   {"secret", secret.name()},
                   {"scheme", secret.public_key() == nullptr ? "v1" : "v1a"}},
                  UnixSeconds(source->records().secret(i).last_verified));
    }
    const auto entries = quarantined.extract(config.name);
    samples.Add(kQuarantineEntries, {{"source", config.name}},
                entries.empty() ? 0 : entries.mapped());
  }
  int64_t of_others = 0;  // whose source the config no longer has
  for (const auto& [source, entries] : quarantined) of_others += entries;
  samples.Add(kQuarantineEntries, {{"source", ""}}, of_others);
}

void CollectStorage(const MetricSources& from, MetricSamples& samples) {
  const StorageUse use = from.storage.use();
  const auto add = [&samples](const MetricInfo& info, const absl::optional<int64_t>& bytes) {
    if (bytes.has_value()) samples.Add(info, {}, *bytes);
  };
  add(kUsedBytes, use.used_bytes);
  add(kWalBytes, use.wal_bytes);
  add(kFreeBytes, use.free_bytes);
  const int64_t limit = from.gateway.max_bytes;
  if (limit > 0) samples.Add(kLimitBytes, {}, limit);
}

void CollectSubscriptions(const MetricSources& from, MetricSamples& samples) {
  const Sequence head = from.log.head();
  const auto all = from.subscriptions.List("", std::numeric_limits<size_t>::max());
  int64_t uncounted = 0;
  for (const auto& subscription : all) {
    const absl::optional<SubscriptionGauges> gauges = subscription->GetGauges(head);
    if (!gauges.has_value()) {
      ++uncounted;
      continue;
    }
    const std::string& name = subscription->name();
    samples.Add(kBacklog, {{"subscription", name}}, gauges->backlog);
    if (gauges->oldest_unacked_age.has_value()) {
      samples.Add(kOldestAge, {{"subscription", name}},
                  absl::ToDoubleSeconds(*gauges->oldest_unacked_age));
    }
    const auto add_events = [&](const char* state, int64_t events) {
      samples.Add(kEvents, {{"subscription", name}, {"state", state}}, events);
    };
    add_events("in_flight", gauges->in_flight);
    add_events("awaiting_redelivery", gauges->awaiting_redelivery);
    add_events("dead", gauges->dead_letters);
    samples.Add(kConsumers, {{"subscription", name}}, gauges->consumers);
    samples.Add(kPaused, {{"subscription", name}}, int64_t{gauges->paused});
  }
  samples.Add(kSubscriptions, {}, static_cast<int64_t>(all.size()));
  samples.Add(kUncounted, {}, uncounted);
  const StreamsBehind behind = from.rpc.CountBehind(head);
  samples.Add(kStreamsBehind, {{"rpc", "Subscribe"}}, behind.subscribe);
  samples.Add(kStreamsBehind, {{"rpc", "Consume"}}, behind.consume);
}

}  // namespace

void AddCollectedMetrics(const MetricSources& sources, MetricRegistry& metrics) {
  metrics.AddCollector({&kReady,         &kNotReady,          &kBuild,          &kReloadSuccessful,
                        &kReloadTime,    &kCertificateExpiry, &kConnections,    &kConnectionsLimit,
                        &kPeersRefused,  &kLastWebhook,       &kSecretVerified, &kQuarantineEntries,
                        &kUsedBytes,     &kLimitBytes,        &kWalBytes,       &kFreeBytes,
                        &kSubscriptions, &kUncounted,         &kBacklog,        &kOldestAge,
                        &kEvents,        &kConsumers,         &kPaused,         &kStreamsBehind},
                       [sources](MetricSamples& samples) {
                         CollectGateway(sources, samples);
                         CollectEdges(sources, samples);
                         CollectSources(sources, samples);
                         CollectStorage(sources, samples);
                         CollectSubscriptions(sources, samples);
                       });
}

}  // namespace hookgate
