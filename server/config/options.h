// Everything that can be set, checked and with its defaults filled in.
#ifndef HOOKGATE_SERVER_CONFIG_OPTIONS_H_
#define HOOKGATE_SERVER_CONFIG_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/base/logging.h"
#include "server/config/cluster_options.h"
#include "server/config/grpc_security.h"
#include "server/config/problems.h"
#include "server/config/reload.h"
#include "server/delivery/subscription_metrics.h"
#include "server/eventlog/retention.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/http/http_options.h"
#include "server/ingest/network.h"
#include "server/ingest/source.h"
#include "server/operator_events/operator_watch.h"
#include "server/rpc/rpc_server.h"
#include "server/status/refused_requests.h"
#include "server/tls/certificates.h"

namespace hookgate {

struct Options {
  SqliteEventLogOptions log;
  RetentionLimits retention;
  std::vector<WebhookSource> sources;
  HttpServerOptions http;                              // where webhooks come in
  absl::optional<CertificateFiles> http_certificates;  // none: plain text
  std::vector<Network> trusted_proxies;                // who may say whom a webhook is from
  size_t max_remembered_refusals = RefusedRequests::kDefaultMaxEntries;
  RpcServerOptions rpc;        // where services subscribe
  GrpcSecurity grpc_security;  // who may come in there
  HttpServerOptions admin;     // where the operator's tools ask
  SubscriptionMetricsOptions subscription_metrics;
  LoggingOptions logging;
  double trace_sample_ratio = 1;
  OperatorLimits operator_events;
  absl::optional<ClusterOptions> cluster;  // nullopt: this gateway is alone
  // The cluster's log, which has to be new, begins with what `log.data_dir` holds.
  bool found_cluster = false;
  absl::Duration drain_timeout = absl::Seconds(20);
  // What all of this was made of; ResolveOptions knows nothing of a file, and sets both to the
  // same.
  AppliedConfig config;
  // What was warned of meanwhile; for GetStatus. Filled in by the caller of ResolveOptions.
  std::vector<std::string> warnings;
};

// The folder of the log, as `config` or the default names it.
std::string DataDirOf(const hookgate::config::v1::Config& config);

// An environment variable, or nullopt.
using Environment = absl::FunctionRef<absl::optional<std::string>(const std::string& name)>;

// Checks `config` and fills in the defaults that config.proto names. Reads the secrets, from files
// and `environment`. Adds every problem that it finds, each with the key at fault, such as
// "sources[0].secrets[1].file: ...", and what would be right; none holds a secret.
// What it returns is only good if it added no error.
Options ResolveOptions(const hookgate::config::v1::Config& config, Environment environment,
                       Problems& problems);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_CONFIG_OPTIONS_H_
