#include "server/config/cluster_options.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/host_port.h"
#include "server/base/small_file.h"
#include "server/base/status.h"
#include "server/config/config_values.h"
#include "server/config/file_permissions.h"
#include "server/config/resolve_tls.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Cluster;

constexpr size_t kMaxClusterName = 32;
constexpr size_t kMaxReplicaName = 63;
constexpr size_t kMaxUriFileBytes = 4096;
// More would need more connections and votes than anybody has asked for.
constexpr int kMaxPeers = 16;
// A webhook in a record: its body, its event, which may hold each byte of the body twice, and what
// the indexes need.
constexpr int64_t kRecordBytesPerBodyByte = 4;
constexpr int64_t kRecordBytesBeside = 64 << 10;

bool IsClusterName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxClusterName &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
         });
}

bool IsReplicaName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxReplicaName &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_' ||
                  c == '.';
         });
}

constexpr char kReplicaNameRule[] =
    "must be 1 to 63 lower-case letters, digits, '-', '_' or '.'; peers and people call the "
    "replica by it";

void CheckAddress(const std::string& address, const std::string& key, bool fixed_port,
                  Problems& problems) {
  const absl::optional<HostPort> parsed = ParseHostPort(address);
  if (!parsed.has_value()) {
    problems.AddError(key, absl::StrCat("\"", address,
                                        "\" is not HOST:PORT; write for example "
                                        "hookgate-a.internal:9091"));
  } else if (fixed_port && parsed->port == 0) {
    problems.AddError(key, "has port 0; others need a port that stays the same");
  }
}

PostgresLogOptions ResolvePostgresql(const hookgate::config::v1::Postgresql& config,
                                     Problems& problems) {
  PostgresLogOptions options;
  options.uri = config.uri();
  options.trust_storage = config.trust_storage();
  if (config.uri().empty() == config.uri_file().empty()) {
    problems.AddError("cluster.postgresql.uri",
                      config.uri().empty()
                          ? "is missing: give uri, or uri_file for one with a password"
                          : "is given beside uri_file; give one of them");
  }
  if (!config.uri_file().empty()) {
    const absl::StatusOr<std::string> text = ReadSmallFile(config.uri_file(), kMaxUriFileBytes);
    if (text.ok()) {
      options.uri = std::string(absl::StripAsciiWhitespace(*text));
      if (options.uri.empty()) problems.AddError("cluster.postgresql.uri_file", "is empty");
    } else {
      problems.AddError("cluster.postgresql.uri_file", text.status().message());
    }
    CheckPermissions(config.uri_file(), FileUse::kSecret, "cluster.postgresql.uri_file", problems);
  }
  if (config.trust_storage()) {
    problems.AddWarning("cluster.postgresql.trust_storage",
                        "takes it on trust that the server's storage is replicated: a webhook that "
                        "was answered 200 is lost if it is not, and the server is");
  }
  return options;
}

void WarnOfTrust(const hookgate::config::v1::Jetstream& config, Problems& problems) {
  if (config.trust_fsync()) {
    problems.AddWarning("cluster.jetstream.trust_fsync",
                        "takes it on trust that every server has sync_interval: always; without "
                        "that, a power cut loses webhooks that were answered 200");
  }
  if (config.trust_storage()) {
    problems.AddWarning("cluster.jetstream.trust_storage",
                        "takes it on trust that the storage below a server is replicated");
  }
}

JetStreamLogOptions ResolveJetstream(const hookgate::config::v1::Jetstream& config,
                                     Problems& problems) {
  JetStreamLogOptions options;
  options.servers.assign(config.servers().begin(), config.servers().end());
  options.credentials_file = config.credentials_file();
  options.ca_file = config.ca_file();
  options.cert_file = config.certificate_file();
  options.key_file = config.key_file();
  options.monitoring_urls.assign(config.monitoring_urls().begin(), config.monitoring_urls().end());
  options.trust_fsync = config.trust_fsync();
  options.trust_storage = config.trust_storage();
  if (options.servers.empty()) {
    problems.AddError("cluster.jetstream.servers",
                      "is empty: name one or more, such as nats://nats-1.internal:4222");
  }
  if (config.certificate_file().empty() != config.key_file().empty()) {
    problems.AddError("cluster.jetstream.certificate_file",
                      "and key_file belong together: give both or neither");
  }
  if (config.replicas() != 0) options.replicas = config.replicas();
  if (options.replicas != 1 && options.replicas != 3 && options.replicas != 5) {
    problems.AddError("cluster.jetstream.replicas",
                      absl::StrCat("is ", options.replicas, "; it must be 1, 3 or 5"));
  } else if (options.replicas == 1 && !options.trust_storage) {
    problems.AddError("cluster.jetstream.replicas",
                      "is 1: a lost server would lose all of it. Give 3 or 5, or "
                      "trust_storage: true if its storage is itself replicated");
  }
  if (options.monitoring_urls.empty() && !options.trust_fsync) {
    problems.AddError("cluster.jetstream.monitoring_urls",
                      "is empty: give http://HOST:PORT of every server's monitoring port, which "
                      "says whether it syncs always, or trust_fsync: true");
  }
  WarnOfTrust(config, problems);
  return options;
}

ClusterPeersOptions ResolvePeers(const hookgate::config::v1::Peers& config,
                                 const std::string& replica, Problems& problems) {
  ClusterPeersOptions options;
  options.listen_address = config.listen_address();
  CheckAddress(config.listen_address(), "cluster.peers.listen_address", /*fixed_port=*/false,
               problems);
  options.certificates = ResolveTls(config.tls(), "cluster.peers.tls", problems);
  if (config.tls().client_ca_file().empty()) {
    problems.AddError("cluster.peers.tls.client_ca_file",
                      "is missing: it names the CA of the replicas' certificates, and only they "
                      "may connect there");
  }
  if (config.peers_size() > kMaxPeers) {
    problems.AddError("cluster.peers.peers",
                      absl::StrCat("has ", config.peers_size(), " entries; at most ", kMaxPeers));
  }
  std::set<std::string> names = {replica};
  for (int i = 0; i < config.peers_size(); ++i) {
    const auto& peer = config.peers(i);
    const std::string key = absl::StrCat("cluster.peers.peers[", i, "]");
    if (!IsReplicaName(peer.name())) problems.AddError(key + ".name", kReplicaNameRule);
    if (!names.insert(peer.name()).second) {
      problems.AddError(key + ".name",
                        absl::StrCat("\"", peer.name(), "\" is ",
                                     peer.name() == replica ? "this replica itself" : "there twice",
                                     "; name each of the others once"));
    }
    CheckAddress(peer.address(), key + ".address", /*fixed_port=*/true, problems);
    options.peers.push_back({peer.name(), peer.address()});
  }
  if (config.peers().empty()) {
    problems.AddError("cluster.peers.peers", "is empty: name the other replicas");
  }
  return options;
}

void ResolveTimes(const Cluster& config, ClusterOptions& options, Problems& problems) {
  problems.AddError(SetDuration(config.has_append_timeout(), config.append_timeout(),
                                "cluster.append_timeout", absl::Milliseconds(100),
                                absl::Seconds(10), options.replica.append_timeout));
  problems.AddError(SetDuration(config.has_log_retention(), config.log_retention(),
                                "cluster.log_retention", absl::Minutes(1), absl::Hours(24 * 365),
                                options.replica.log_retention));
}

}  // namespace

absl::optional<ClusterOptions> ResolveCluster(const hookgate::config::v1::Config& config,
                                              int64_t max_body_bytes, Problems& problems) {
  if (!config.has_cluster()) return absl::nullopt;
  const Cluster& cluster = config.cluster();
  ClusterOptions options;
  if (!IsClusterName(cluster.name())) {
    problems.AddError("cluster.name",
                      "must be 1 to 32 lower-case letters, digits or '_', the same for all "
                      "replicas and for ever");
  }
  if (!IsReplicaName(cluster.replica())) problems.AddError("cluster.replica", kReplicaNameRule);
  if (!cluster.address().empty()) {
    CheckAddress(cluster.address(), "cluster.address", /*fixed_port=*/true, problems);
  }
  options.replica.cluster = cluster.name();
  options.replica.name = cluster.replica();
  options.replica.address = cluster.address();
  options.log.cluster = cluster.name();
  ResolveTimes(cluster, options, problems);

  const int64_t needed = kRecordBytesPerBodyByte * max_body_bytes + kRecordBytesBeside;
  options.log.max_record_bytes = std::max(options.log.max_record_bytes, needed);
  if (needed > ReplicatedLog::kMostRecordBytes) {
    problems.AddError(
        "http.max_body_bytes",
        absl::StrCat(
            "is ", max_body_bytes, "; in a cluster it must be at most ",
            (ReplicatedLog::kMostRecordBytes - kRecordBytesBeside) / kRecordBytesPerBodyByte,
            ", or the largest webhooks would not fit into a record of the shared log"));
  }
  switch (cluster.engine_case()) {
    case Cluster::kPostgresql:
      options.engine = ResolvePostgresql(cluster.postgresql(), problems);
      break;
    case Cluster::kJetstream:
      options.engine = ResolveJetstream(cluster.jetstream(), problems);
      break;
    case Cluster::ENGINE_NOT_SET:
      problems.AddError("cluster", "names no engine: give postgresql { ... } or jetstream { ... }");
      break;
  }
  if (cluster.has_peers()) {
    options.peers = ResolvePeers(cluster.peers(), cluster.replica(), problems);
  } else {
    problems.AddWarning("cluster.peers",
                        "is missing, so this replica hands nothing on to the leader: webhooks, "
                        "Consume and administration have to be sent to the leader, whose /leaderz "
                        "answers 200");
  }
  return options;
}

absl::StatusOr<std::unique_ptr<ReplicatedLog>> OpenReplicatedLog(const ClusterOptions& options) {
  if (const auto* const postgres = std::get_if<PostgresLogOptions>(&options.engine)) {
    return OpenPostgresLog(options.log, *postgres);
  }
  return OpenJetStreamLog(options.log, std::get<JetStreamLogOptions>(options.engine));
}

}  // namespace hookgate
