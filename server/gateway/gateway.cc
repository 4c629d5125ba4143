#include "server/gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "hookgate/v1/admin_service.pb.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/status.h"
#include "server/cluster/await_log.h"
#include "server/config/reload.h"
#include "server/config/source_doors.h"
#include "server/gateway/cluster_status.h"
#include "server/gateway/fill_status.h"
#include "server/metrics/process_metrics.h"
#include "version/version.h"

namespace hookgate {
namespace {

// For what is stored last, when a drain has used up its time: about a sync of a slow disk.
constexpr absl::Duration kLeastTimeToStore = absl::Seconds(1);
// For what another replica has handed on, in a drain.
constexpr absl::Duration kPeerGrace = absl::Milliseconds(500);
constexpr int kSubscriptionThreads = 2;
constexpr int kMaxAdminConnections = 256;
constexpr int64_t kMaxAdminBodyBytes = 4096;
constexpr int kSubscriptionReadThreads = 2;
// Pages of subscriptions that are read and not handed over yet: of 256 KiB, or one event each.
constexpr int kMaxSubscriptionPages = 32;

// Null for plain text. `key` is where the config says so.
absl::StatusOr<std::unique_ptr<CertificateStore>> OpenCertificates(
    const absl::optional<CertificateFiles>& files, absl::string_view key, const Clock& clock) {
  if (!files.has_value()) return nullptr;
  auto certificates = CertificateStore::Open(*files, clock);
  if (!certificates.ok()) return Annotate(certificates.status(), key);
  return certificates;
}

// Of a port that may be plain text: then there is nothing to read, and nothing to take.
absl::StatusOr<CertificateStore::Reading> ReadCertificates(CertificateStore* certificates,
                                                           absl::string_view key) {
  if (certificates == nullptr) return CertificateStore::Reading();
  absl::StatusOr<CertificateStore::Reading> reading = certificates->Read();
  if (!reading.ok()) return Annotate(reading.status(), key);
  return reading;
}

void TakeCertificates(CertificateStore* certificates, CertificateStore::Reading reading) {
  if (certificates != nullptr) certificates->Take(std::move(reading));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Create(const Options& options,
                                                         const Clock& clock) {
  auto gateway = absl::WrapUnique(new Gateway(options, clock));
  RETURN_IF_ERROR(gateway->OpenReplicatedLog());  // Of a cluster.
  RETURN_IF_ERROR(gateway->OpenLog());            // No promise before the log can be written.
  RETURN_IF_ERROR(gateway->OpenSubscriptions());  // What is owed since the last time.
  RETURN_IF_ERROR(gateway->StartRpc());           // Before senders: no backlog at birth.
  RETURN_IF_ERROR(gateway->StartPeerServer());    // Other replicas hand on what they were sent.
  RETURN_IF_ERROR(gateway->StartWebhooks());      // From here on senders are owed answers.
  RETURN_IF_ERROR(gateway->StartAdmin());         // Last: ready is said once all of it is true.
  gateway->StartReplica();
  return gateway;
}

Gateway::Gateway(const Options& options, const Clock& clock)
    : options_(options),
      clock_(clock),
      start_time_(clock.WallNow()),
      config_(options.config),
      limits_(options.retention),
      config_warnings_(options.warnings),
      config_time_(start_time_),
      event_log_metrics_(metrics_, clock),
      subscription_metrics_(options.subscription_metrics, metrics_),
      status_book_(clock),
      refused_(options.max_remembered_refusals),
      sources_({}, status_book_, metrics_, clock),
      access_(AccessPolicy(options.grpc_security.principals)),
      watch_(clock),
      tail_({}, watch_) {
  absl::MutexLock lock(&mu_);
  NoteConfig();
}

// The edges end first: whatever still runs there uses what is below.
Gateway::~Gateway() {
  if (replica_ != nullptr) replica_->Stop();
  // What it answers is told to senders by what ends before it.
  if (leader_sink_ != nullptr) leader_sink_->End();
}

// Only what a person has to mend ends the start of a replica. An engine that cannot be reached now
// does not: what is held here can be read, and a replica that holds nothing yet waits.
absl::Status Gateway::OpenReplicatedLog() {
  if (!options_.cluster.has_value()) return absl::OkStatus();
  ClusterOptions cluster = *options_.cluster;
  const std::string genesis = StoredGenesis(options_.log.data_dir);
  if (!options_.found_cluster) cluster.log.genesis = genesis;
  cluster.log.create = cluster.log.genesis.empty();
  auto log = hookgate::OpenReplicatedLog(cluster);
  if (!log.ok()) return Annotate(log.status(), "cluster");
  replicated_log_ = *std::move(log);
  cluster.replica.on_wait = [this](const absl::Status& reason) { NoteWaiting(reason); };
  const bool serves_without = !cluster.log.genesis.empty();
  const auto ask = [this] { return replicated_log_->Identity(); };
  const absl::StatusOr<std::string> identity =
      serves_without ? ask() : AwaitLog<std::string>(ask, cluster.replica.on_wait, &absl::SleepFor);
  const absl::Status& reached = identity.status();
  if (!reached.ok() && !(absl::IsUnavailable(reached) && serves_without)) {
    return Annotate(reached, absl::StrCat("cluster ", cluster.replica.cluster));
  }
  if (!reached.ok()) {
    Log(Severity::kWarning, "the cluster's log is not reached yet",
        {{"error", reached.ToString()}});
  }
  // A start that is repeated founds nothing more.
  founds_cluster_ = options_.found_cluster && *identity != genesis;
  if (cluster.peers.has_value()) {
    ASSIGN_OR_RETURN(peer_certificates_,
                     OpenCertificates(cluster.peers->certificates, "cluster.peers.tls", clock_));
    peers_ = std::make_unique<Peers>(cluster.peers->peers, *peer_certificates_, clock_,
                                     MaxPeerMessageBytes());
  }
  replica_ = std::make_unique<Replica>(cluster.replica, *replicated_log_, clock_, peers_.get());
  return absl::OkStatus();
}

void Gateway::NoteWaiting(const absl::Status& reason) {
  {
    absl::MutexLock lock(&mu_);
    waits_for_ = absl::StrCat("waiting for the cluster's log: ", reason.message());
  }
  if (ends_when_asked_ == nullptr) ends_when_asked_ = std::make_unique<EndsWhenAsked>();
  if (admin_server_ != nullptr) return;
  const absl::Status listens = StartAdminServer();
  if (!listens.ok()) {
    Log(Severity::kWarning, "cannot say that it waits", {{"error", listens.ToString()}});
  }
}

absl::Status Gateway::OpenLog() {
  absl::optional<ReplicaOptions> replica;
  if (replica_ != nullptr) replica = replica_->LogOptions(founds_cluster_);
  auto log = SqliteEventLog::Open(options_.log, &tail_, &status_book_, &event_log_metrics_,
                                  replica.has_value() ? &*replica : nullptr);
  if (!log.ok()) return Annotate(log.status(), "opening the log");
  log_ = *std::move(log);
  ends_when_asked_.reset();  // A graceful shutdown is for what comes now.
  const EventLogPosition position = log_->Position();
  tail_.StartAfter(position.head);
  Log(Severity::kInfo, "log opened",
      {{"data_dir", options_.log.data_dir},
       {"epoch", log_->epoch()},
       {"earliest", position.earliest},
       {"head", position.head}});
  ASSIGN_OR_RETURN(const StoredStatus status, log_->LoadStatus());
  status_book_.Restore(status);
  sources_.Replace(options_.sources);
  if (peers_ != nullptr) {
    leader_route_ = std::make_unique<ReplicaRoute>(*replica_, *peers_);
    leader_sink_ = std::make_unique<LeaderSink>(
        *leader_route_, *log_, clock_,
        LeaderSink::Limits{.max_webhooks = static_cast<int64_t>(options_.log.limits.max_queued),
                           .max_bytes = static_cast<int64_t>(options_.log.limits.max_queued_bytes)},
        options_.cluster->replica.hand_on_timeout());
  }
  EventSink& sink = leader_sink_ != nullptr ? static_cast<EventSink&>(*leader_sink_) : *log_;
  webhook_handler_ =
      std::make_unique<WebhookHandler>(sources_, sink, status_book_.counters(), metrics_, clock_,
                                       options_.trusted_proxies, &refused_);
  webhook_handler_->trace_parents().SetSampleRatio(options_.trace_sample_ratio);
  status_keeper_ = std::make_unique<StatusKeeper>(status_book_, *log_);
  return absl::OkStatus();
}

absl::Status Gateway::OpenSubscriptions() {
  subscription_reads_ =
      std::make_unique<ReadQueue>(kSubscriptionReadThreads, kMaxSubscriptionPages);
  subscription_executor_ = std::make_unique<Executor>(kSubscriptionThreads);
  const SubscriptionContext context = {.store = *log_,
                                       .log = *log_,
                                       .tail = tail_,
                                       .watch = watch_,
                                       .executor = *subscription_executor_,
                                       .reads = *subscription_reads_,
                                       .clock = clock_,
                                       .metrics = &subscription_metrics_};
  if (replica_ != nullptr) {
    subscriptions_ = SubscriptionRegistry::OpenSuspended(context, LeaderDuties::AnotherDecides());
  } else {
    auto subscriptions = SubscriptionRegistry::Open(context);
    if (!subscriptions.ok()) {
      absl::Status status = Annotate(subscriptions.status(), "opening the subscriptions");
      if (!absl::IsDataLoss(status)) return status;
      return absl::DataLossError(absl::StrCat(
          status.message(), ". The event log is damaged: hookgate fsck ", options_.log.data_dir,
          " lists what is, and hookgated --restore FILE --data_dir ", options_.log.data_dir,
          " puts a backup in place"));
    }
    subscriptions_ = *std::move(subscriptions);
  }
  probe_ = std::make_unique<GatewayProbe>(*subscriptions_, sources_, *log_);
  duties_ = std::make_unique<LeaderDuties>(
      LeaderDuties::Context{.log = *log_,
                            .subscriptions = *subscriptions_,
                            .probe = *probe_,
                            .trace_parents = webhook_handler_->trace_parents(),
                            .clock = clock_},
      options_.retention, options_.operator_events);
  if (replica_ == nullptr) duties_->Begin();
  storage_watch_ = std::make_unique<StorageWatch>(*log_, options_.log.data_dir, event_log_metrics_);
  return absl::OkStatus();
}

void Gateway::StartReplica() {
  if (replica_ == nullptr) return;
  replica_->Start(*log_, duties_.get());
  log_trimmer_ = std::make_unique<LogTrimmer>(
      *replicated_log_, options_.cluster->replica.log_retention, clock_, [this] {
        const ReplicaStatus status = replica_->Status();
        LogIndex everywhere = status.applied;
        if (peers_ != nullptr) {
          const absl::Time oldest = clock_.WallNow() - options_.cluster->replica.log_retention;
          for (const PeerState& peer : peers_->States()) {
            // One that is away for longer takes a copy: it must not keep the log for ever.
            if (peer.last_heard.value_or(absl::InfinitePast()) < oldest) continue;
            everywhere = std::min(everywhere, peer.applied);
          }
        }
        return LogTrimmer::Applied{
            .here = status.applied, .everywhere = everywhere, .leads = status.serving};
      });
}

absl::Status Gateway::StartRpc() {
  if (peers_ != nullptr) forwarder_ = std::make_unique<CallForwarder>(*leader_route_, clock_);
  ASSIGN_OR_RETURN(grpc_certificates_,
                   OpenCertificates(options_.grpc_security.certificates, "grpc.tls", clock_));
  auto server = RpcServer::Start(
      options_.rpc,
      {.log = *log_,
       .quarantine = *log_,
       .lookups = *log_,
       .conflicts = *log_,
       .refused = refused_,
       .tail = tail_,
       .watch = watch_,
       .subscriptions = *subscriptions_,
       .clock = clock_,
       .metrics = metrics_,
       .access = access_,
       .certificates = grpc_certificates_.get(),
       .cursors_ahead = AwaitedCursors(replica_.get()),
       .get_status = [this](hookgate::v1::GetStatusResponse& status) { return FillStatus(status); },
       .source_names =
           [this] {
             std::vector<std::string> names = sources_.Names();
             names.push_back(kOperatorSource);
             return names;
           },
       .last_webhooks =
           [this] {
             std::vector<LastWebhook> last;
             for (const auto& source : sources_.All()) {
               last.push_back({source->config().name, source->records().source().last_webhook});
             }
             return last;
           },
       .diverter = forwarder_.get()});
  if (!server.ok()) return Annotate(server.status(), "grpc.address");
  rpc_server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Gateway::StartPeerServer() {
  if (peers_ == nullptr) return absl::OkStatus();
  auto server = PeerServer::Start(options_.cluster->peers->listen_address,
                                  {.replica = *replica_,
                                   .peers = *peers_,
                                   .log = *log_,
                                   .methods = rpc_server_->methods(),
                                   .certificates = *peer_certificates_,
                                   .clock = clock_},
                                  MaxPeerMessageBytes());
  if (!server.ok()) return Annotate(server.status(), "cluster.peers.listen_address");
  peer_server_ = *std::move(server);
  Log(Severity::kInfo, "replicas are served", {{"address", peer_server_->address()}});
  return absl::OkStatus();
}

// A webhook with its event, or what a client may send or be sent.
size_t Gateway::MaxPeerMessageBytes() const {
  return std::max(static_cast<size_t>(options_.cluster->log.max_record_bytes),
                  options_.rpc.transport.max_stream_bytes);
}

absl::Status Gateway::StartWebhooks() {
  ASSIGN_OR_RETURN(http_certificates_,
                   OpenCertificates(options_.http_certificates, "http.tls", clock_));
  HttpServerOptions options = options_.http;
  options.is_proxy = [&proxies = options_.trusted_proxies](const std::string& address) {
    const absl::optional<IpAddress> parsed = IpAddress::Parse(address.substr(0, address.find('%')));
    return parsed.has_value() && IsInAny(proxies, *parsed);
  };
  auto server = HttpServer::Start(options, *webhook_handler_, clock_, http_certificates_.get());
  if (!server.ok()) return Annotate(server.status(), "http.address");
  webhook_server_ = *std::move(server);
  return absl::OkStatus();
}

absl::Status Gateway::StartAdmin() {
  AddProcessMetrics(start_time_, metrics_);
  AddCollectedMetrics({.gateway = gauges_,
                       .sources = sources_,
                       .log = event_log_metrics_,
                       .storage = *storage_watch_,
                       .subscriptions = *subscriptions_,
                       .rpc = *rpc_server_,
                       .replica = replica_.get(),
                       .max_rpc_connections = options_.rpc.transport.max_connections,
                       .webhooks = *webhook_server_,
                       .http_certificates = http_certificates_.get(),
                       .grpc_certificates = grpc_certificates_.get()},
                      metrics_);
  AddClusterMetrics(replica_.get(), metrics_);
  if (admin_server_ == nullptr) RETURN_IF_ERROR(StartAdminServer());
  gauges_.admin = admin_server_.get();
  started_ = true;
  return absl::OkStatus();
}

absl::Status Gateway::StartAdminServer() {
  admin_handler_ =
      std::make_unique<AdminHandler>([this] { return ReasonsNotReady(); },
                                     [this] { return ReasonNotLeading(); }, metrics_, clock_);
  HttpServerOptions options = options_.admin;
  options.threads = 1;
  // Whoever asks there sends a GET.
  options.max_connections = kMaxAdminConnections;
  options.max_body_bytes = kMaxAdminBodyBytes;
  auto server = HttpServer::Start(options, *admin_handler_, clock_);
  if (!server.ok()) return Annotate(server.status(), "admin.address");
  admin_server_ = *std::move(server);
  return absl::OkStatus();
}

std::vector<std::string> Gateway::ReasonsNotReady() const {
  if (!started_) {
    absl::MutexLock lock(&mu_);
    return {waits_for_.empty() ? "starting" : waits_for_};
  }
  std::vector<std::string> reasons;
  if (gauges_.draining) reasons.push_back("draining");
  const absl::Status health = log_->Health();
  if (!health.ok()) reasons.push_back(std::string(health.message()));
  if (replica_ == nullptr) return reasons;
  const ReplicaStatus replica = replica_->Status();
  const ReplicaReadiness readiness = ReadinessOf(replica);
  if (readiness.no_leader) {
    reasons.push_back(replica.problem.ok() ? std::string(replica_->NotLeading().message())
                                           : absl::StrCat("cluster: ", replica.problem.message()));
  }
  if (readiness.behind && replica.lag > absl::ZeroDuration()) {
    reasons.push_back(absl::StrCat("this replica is ", absl::FormatDuration(replica.lag),
                                   " behind the cluster's log"));
  } else if (readiness.behind && !readiness.no_leader) {
    reasons.push_back(absl::StrCat("cluster: ", replica.problem.message()));
  }
  return reasons;
}

std::string Gateway::ReasonNotLeading() const {
  if (!started_) return ReasonsNotReady().front();
  if (gauges_.draining) return "draining";
  if (replica_ == nullptr || replica_->Status().serving) return "";
  return std::string(replica_->NotLeading().message());
}

absl::Status Gateway::FillStatus(hookgate::v1::GetStatusResponse& status) {
  status.set_version(std::string(Version()));
  *status.mutable_start_time() = ToProto(start_time_);
  {
    absl::MutexLock lock(&mu_);
    *status.mutable_config_time() = ToProto(config_time_);
    status.mutable_storage()->set_max_bytes(config_.whole.storage().max_bytes());
    for (const std::string& warning : config_warnings_) status.add_config_warnings(warning);
  }
  if (const std::string reload = status_book_.last_reload(); !reload.empty()) {
    // One that cannot be read, as of a damaged row, is none.
    if (!status.mutable_last_reload()->ParseFromString(reload)) status.clear_last_reload();
  }
  for (std::string& reason : ReasonsNotReady()) status.add_not_ready_reasons(std::move(reason));
  status.set_ready(status.not_ready_reasons().empty());
  // Before the position, so that what has made room is not said to be there.
  ASSIGN_OR_RETURN(const int64_t used_bytes, log_->UsedBytes());
  status.mutable_storage()->set_used_bytes(used_bytes);
  const EventLogPosition position = log_->Position();
  status.set_epoch(log_->epoch());
  status.set_earliest_sequence(position.earliest);
  status.set_head_sequence(position.head);
  for (const auto& source : sources_.All()) FillSource(*source, *status.add_sources());
  FillIngest(status_book_.counters(), status_book_.since(), *status.mutable_ingest());
  ASSIGN_OR_RETURN(const QuarantineSummary quarantine, log_->SummarizeQuarantine());
  status.mutable_quarantine()->set_entries(quarantine.entries);
  status.mutable_quarantine()->set_removed_by_limits(
      status_book_.counters().removed_from_quarantine);
  if (replica_ != nullptr) {
    FillCluster(options_.cluster->replica, replica_->Status(),
                peers_ == nullptr ? std::vector<PeerState>() : peers_->States(),
                *status.mutable_cluster());
  }
  return absl::OkStatus();
}

std::vector<WebhookSource> Gateway::RunningSources() const {
  std::vector<WebhookSource> sources;
  for (const auto& source : sources_.All()) sources.push_back(source->config());
  return sources;
}

std::string Gateway::Reload(const Options& options, Problems& problems) {
  absl::MutexLock lock(&mu_);
  const std::vector<WebhookSource> running = RunningSources();
  // What can fail comes first, all of it.
  if (!problems.ok()) {
    CheckNothingIsLost(config_, options.config, problems);
    CheckNetworksStay(running, removed_sources_, options.sources, options.config.whole, problems);
    return "";
  }
  CheckReload(config_, options.config, problems);
  CheckSourceDoors(running, removed_sources_, options.sources, problems);
  NoteSmallerLimits(limits_, options.retention, problems);
  auto for_grpc = problems.ValueOrDefault(ReadCertificates(grpc_certificates_.get(), "grpc.tls"));
  auto for_http = problems.ValueOrDefault(ReadCertificates(http_certificates_.get(), "http.tls"));
  if (!problems.ok()) return "";
  std::string changed = ChangedSettings(config_, options.config);
  TakeCertificates(grpc_certificates_.get(), std::move(for_grpc));
  TakeCertificates(http_certificates_.get(), std::move(for_http));
  config_ = options.config;
  limits_ = options.retention;
  config_warnings_ = options.warnings;
  config_time_ = clock_.WallNow();
  NoteConfig();
  NoteRemovedSources(running, options.sources, removed_sources_);
  sources_.Replace(options.sources);
  access_.Replace(AccessPolicy(options.grpc_security.principals));
  rpc_server_->RecheckAccess();
  duties_->SetLimits(options.retention, options.operator_events);
  webhook_handler_->trace_parents().SetSampleRatio(options.trace_sample_ratio);
  SetLeastSeverity(options.logging.least_severity);
  return changed;
}

void Gateway::NoteConfig() {
  gauges_.config_time_us = absl::ToUnixMicros(config_time_);
  gauges_.max_bytes = config_.whole.storage().max_bytes();
}

void Gateway::NoteReload(const Problems& problems) {
  gauges_.last_reload_successful = problems.ok();
  status_book_.SetLastReload(ReloadStatus(clock_.WallNow(), problems).SerializeAsString());
  if (!problems.ok()) duties_->NoteFailedReload(problems.errors());
}

bool Gateway::Drain() {
  const absl::Duration end = clock_.MonotonicNow() + options_.drain_timeout;
  const auto time_left = [&] {
    return std::max(end - clock_.MonotonicNow(), absl::ZeroDuration());
  };
  Log(Severity::kInfo, "draining",
      {{"streams", rpc_server_->open_streams()},
       {"at_most", absl::FormatDuration(options_.drain_timeout)}});
  duties_->StopOperatorEvents(options_.drain_timeout);
  gauges_.draining = true;         // Balancers look elsewhere,
  rpc_server_->StopServing();      // those of gRPC too.
  webhook_handler_->BeginDrain();  // New webhooks: 503, come back.
  webhook_server_->BeginDrain();   // What is still arriving has a moment; signed ones are stored.
  // Beside that: nothing that a sender or a stranger does makes a stream wait for its goodbye.
  if (forwarder_ != nullptr) forwarder_->EndAll();
  const bool said_goodbye = rpc_server_->Drain(time_left());
  const bool answered = webhook_server_->Drain(time_left());
  const bool all_ended = answered && said_goodbye;
  if (!subscriptions_->StorePositions(std::max(time_left(), kLeastTimeToStore))) {
    Log(Severity::kWarning,
        "positions of subscriptions could not be stored: they look once more at "
        "events that their filters had not admitted");
  }
  // What was answered is in the log. Whoever leads next need not wait for a silence.
  if (replica_ != nullptr) replica_->Leave();
  if (peers_ != nullptr) peers_->AwaitAnswers(kPeerGrace);
  if (peer_server_ != nullptr) peer_server_->Drain(kPeerGrace);
  // Last: all of that counts.
  const bool stored = status_keeper_->StoreNow(std::max(time_left(), kLeastTimeToStore));
  if (!stored) {
    Log(Severity::kWarning, "what GetStatus tells of the last moments could not be stored");
  }
  Log(all_ended ? Severity::kInfo : Severity::kWarning, "drained",
      {{"all_webhooks_answered", answered ? "yes" : "no"},
       {"all_streams_ended", said_goodbye ? "yes" : "no"}});
  return all_ended && stored;
}

}  // namespace hookgate
