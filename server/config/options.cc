#include "server/config/options.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/host_port.h"
#include "server/config/config_values.h"
#include "server/config/resolve_parts.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;

// Otherwise the start would fail, and say only that an address is in use.
void CheckPortsDiffer(const Options& options, Problems& problems) {
  std::vector<std::pair<absl::string_view, const std::string*>> all = {
      {"http.address", &options.http.address},
      {"grpc.address", &options.rpc.transport.address},
      {"admin.address", &options.admin.address}};
  if (options.cluster.has_value() && options.cluster->peers.has_value()) {
    all.emplace_back("cluster.peers.listen_address", &options.cluster->peers->listen_address);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const auto one = ParseHostPort(*all[i].second);
      const auto other = ParseHostPort(*all[j].second);
      if (!one.has_value() || !other.has_value() || !Collide(*one, *other)) continue;
      problems.AddError(all[i].first, absl::StrCat("\"", *all[i].second, "\" has the port of ",
                                                   all[j].first, ", which is \"", *all[j].second,
                                                   "\"; each needs a port of its own"));
    }
  }
}

void ResolveTracing(const Config& config, Options& options, Problems& problems) {
  if (!config.tracing().has_sample_ratio()) return;
  const double ratio = config.tracing().sample_ratio();
  if (!(ratio >= 0 && ratio <= 1)) {
    return problems.AddError("tracing.sample_ratio",
                             absl::StrCat("is ", ratio, "; it must be from 0 to 1"));
  }
  options.trace_sample_ratio = ratio;
}

void ResolveMetrics(const Config& config, Options& options, Problems& problems) {
  const auto& metrics = config.metrics();
  if (metrics.has_subscription_histograms()) {
    options.subscription_metrics.histograms = metrics.subscription_histograms();
  }
  problems.AddError(SetNumber(metrics.max_subscriptions(), "metrics.max_subscriptions", 10'000,
                              options.subscription_metrics.max_subscriptions));
}

void ResolveLogging(const Config& config, Options& options, Problems& problems) {
  const absl::StatusOr<LogFormat> format = ParseLogFormat(config.logging().format());
  if (format.ok()) {
    options.logging.format = *format;
  } else {
    problems.AddError("logging.format", format.status().message());
  }
  if (config.logging().level().empty()) return;
  const absl::StatusOr<Severity> level = ParseSeverity(config.logging().level());
  if (level.ok()) {
    options.logging.least_severity = *level;
  } else {
    problems.AddError("logging.level", level.status().message());
  }
}

}  // namespace

Options ResolveOptions(const Config& config, Environment environment, Problems& problems) {
  Options options;
  options.config = {config, config};
  ResolveLogging(config, options, problems);
  ResolveHttp(config, options, problems);
  ResolveGrpc(config, options, problems);
  problems.AddError(SetAddress(config.admin().address(), "admin.address", "127.0.0.1:9090",
                               options.admin.address));
  ResolveStorage(config, options, problems);
  ResolveMetrics(config, options, problems);
  problems.AddError(SetDuration(config.has_drain_timeout(), config.drain_timeout(), "drain_timeout",
                                absl::ZeroDuration(), absl::Minutes(10), options.drain_timeout));
  ResolveTracing(config, options, problems);
  ResolveSources(config, environment, options, problems);
  ResolveOperatorEvents(config, options, problems);
  options.cluster = ResolveCluster(config, options.http.max_body_bytes, problems);
  CheckPortsDiffer(options, problems);
  return options;
}

}  // namespace hookgate
