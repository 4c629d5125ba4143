// Everything that can be set, checked and with its defaults filled in.
#ifndef HOOKGATE_SERVER_GATEWAY_OPTIONS_H_
#define HOOKGATE_SERVER_GATEWAY_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/config/v1/config.pb.h"
#include "server/base/logging.h"
#include "server/eventlog/retention.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/gateway/doors.h"
#include "server/http/http_options.h"
#include "server/ingest/network.h"
#include "server/ingest/source.h"
#include "server/rpc/rpc_server.h"
#include "server/tls/certificates.h"

namespace hookgate {

struct Options {
  SqliteEventLogOptions log;
  RetentionLimits retention;
  std::vector<WebhookSource> sources;
  HttpServerOptions http;                              // where webhooks come in
  absl::optional<CertificateFiles> http_certificates;  // none: plain text
  std::vector<Network> trusted_proxies;                // who may say whom a webhook is from
  RpcServerOptions rpc;                                // where services subscribe
  Doors doors;                                         // who may come in there
  HttpServerOptions admin;                             // where the operator's tools ask
  LoggingOptions logging;
  absl::Duration drain_timeout = absl::Seconds(20);
  // What all of this was made of.
  hookgate::config::v1::Config config;
};

// Reads a config file in protobuf text format.
// INVALID_ARGUMENT with "FILE:LINE:COLUMN: ..." if it is not one; NOT_FOUND if it cannot be read.
// No message holds a secret.
absl::StatusOr<hookgate::config::v1::Config> LoadConfig(const std::string& path);

// An environment variable, or nullopt.
using Environment = absl::FunctionRef<absl::optional<std::string>(const std::string& name)>;

// Checks `config` and fills in the defaults that config.proto names. Reads the secrets, from files
// and `environment`.
// INVALID_ARGUMENT that begins with the key at fault, such as "sources[0].secrets[1].file: ...",
// and says what would be right. No message holds a secret.
absl::StatusOr<Options> ResolveOptions(const hookgate::config::v1::Config& config,
                                       Environment environment);

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_OPTIONS_H_
