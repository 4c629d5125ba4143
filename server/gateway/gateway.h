// The whole: builds every part in order, and takes them down in order. Alone knows them all.
#ifndef HOOKGATE_SERVER_GATEWAY_GATEWAY_H_
#define HOOKGATE_SERVER_GATEWAY_GATEWAY_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/access/access_control.h"
#include "server/admin/admin_handler.h"
#include "server/base/executor.h"
#include "server/base/memory_releaser.h"
#include "server/cluster/call_forwarder.h"
#include "server/cluster/leader_sink.h"
#include "server/cluster/log_trimmer.h"
#include "server/cluster/peer_server.h"
#include "server/cluster/peers.h"
#include "server/cluster/replica.h"
#include "server/cluster/replica_route.h"
#include "server/config/options.h"
#include "server/config/problems.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/subscription_metrics.h"
#include "server/delivery/subscription_registry.h"
#include "server/delivery/tail.h"
#include "server/eventlog/event_log_metrics.h"
#include "server/eventlog/sqlite_event_log.h"
#include "server/eventlog/storage_watch.h"
#include "server/gateway/collect_metrics.h"
#include "server/gateway/gateway_probe.h"
#include "server/gateway/leader_duties.h"
#include "server/gateway/signals.h"
#include "server/http/http_server.h"
#include "server/ingest/source_registry.h"
#include "server/ingest/webhook_handler.h"
#include "server/metrics/metric_registry.h"
#include "server/replication/replicated_log.h"
#include "server/rpc/rpc_server.h"
#include "server/status/refused_requests.h"
#include "server/status/status_book.h"
#include "server/status/status_keeper.h"
#include "server/tls/certificate_store.h"

namespace hookgate {

class Gateway {
 public:
  // Opens the log and serves on every address. `clock` outlives the gateway. A replica with an
  // empty folder waits for the engine of its cluster, as long as that takes.
  // Errors say which part could not start, and why.
  static absl::StatusOr<std::unique_ptr<Gateway>> Create(const Options& options,
                                                         const Clock& clock);

  // Ends at once what Drain has left. A replica gives up what it leads.
  ~Gateway();

  // Where it listens.
  std::string http_address() const { return webhook_server_->address(); }
  std::string grpc_address() const { return rpc_server_->address(); }
  std::string admin_address() const { return admin_server_->address(); }
  EventLogPosition log_position() const { return log_->Position(); }

  // Goes on with these options: other sources, principals, retention and log level, and the
  // certificates read again. All of it or, with an error added to `problems` that says why,
  // nothing: what CheckReload finds, or certificates that cannot be read. With errors of the
  // options in `problems` nothing is changed, and what CheckNothingIsLost finds is added. Returns
  // the names of the settings that have changed (ChangedSettings).
  std::string Reload(const Options& options, Problems& problems) ABSL_LOCKS_EXCLUDED(mu_);

  // What GetStatus tells of the last reload, whether it came as far as Reload or not.
  void NoteReload(const Problems& problems);

  // The graceful shutdown: says goodbye to streams at once, takes no more webhooks, and commits and
  // answers those whose signatures hold. Requests that are still arriving have a moment
  // (HttpServer::BeginDrain). Takes `options.drain_timeout`, and a moment more for those that have
  // to be cut off. False if some peer or the disk still holds something: then the destructor would
  // wait for it, and ending the process loses nothing that was answered.
  bool Drain();

 private:
  Gateway(const Options& options, const Clock& clock);

  absl::Status OpenReplicatedLog();
  absl::Status OpenLog();
  absl::Status OpenSubscriptions();
  void StartReplica();
  absl::Status StartRpc();
  absl::Status StartPeerServer();
  size_t MaxPeerMessageBytes() const;
  absl::Status StartWebhooks();
  absl::Status StartAdmin();
  absl::Status StartAdminServer();
  // The engine is not reached, and nothing can be served without it: says so, also on /readyz, and
  // lets SIGTERM end the process until the log is open.
  void NoteWaiting(const absl::Status& reason) ABSL_LOCKS_EXCLUDED(mu_);
  // Why the gateway should not be sent webhooks now; empty: it is ready.
  std::vector<std::string> ReasonsNotReady() const ABSL_LOCKS_EXCLUDED(mu_);
  // Why it does not decide what is stored; "": it does.
  std::string ReasonNotLeading() const;
  // What a scrape says of the config in force.
  std::vector<WebhookSource> RunningSources() const;
  void NoteConfig() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status FillStatus(hookgate::v1::GetStatusResponse& status) ABSL_LOCKS_EXCLUDED(mu_);

  // Constant after construction.
  const Options options_;  // as it was started
  const Clock& clock_;
  const absl::Time start_time_;

  GatewayGauges gauges_;

  mutable absl::Mutex mu_;
  // In force.
  AppliedConfig config_ ABSL_GUARDED_BY(mu_);
  RetentionLimits limits_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> config_warnings_ ABSL_GUARDED_BY(mu_);
  absl::Time config_time_ ABSL_GUARDED_BY(mu_);
  // By reloads, since the start: what comes back is held to what it was.
  std::vector<WebhookSource> removed_sources_ ABSL_GUARDED_BY(mu_);
  std::string waits_for_ ABSL_GUARDED_BY(mu_);  // while it starts
  std::atomic<bool> started_{false};            // all that /readyz asks is there

  // Each does its own locking, and uses only those above it: built downwards, destroyed upwards.
  MetricRegistry metrics_;
  EventLogMetrics event_log_metrics_;
  SubscriptionMetricsPool subscription_metrics_;
  MemoryReleaser memory_;
  StatusBook status_book_;
  RefusedRequests refused_;
  SourceRegistry sources_;
  AccessControl access_;
  std::unique_ptr<CertificateStore> grpc_certificates_;  // null: gRPC is plain text
  std::unique_ptr<CertificateStore> http_certificates_;  // null: so is HTTP
  HeadWatch watch_;
  Tail tail_;
  std::unique_ptr<ReplicatedLog> replicated_log_;        // null: this gateway is alone
  std::unique_ptr<CertificateStore> peer_certificates_;  // null: it has no port for peers
  std::unique_ptr<Peers> peers_;                         // the same
  std::unique_ptr<Replica> replica_;                     // null: this gateway is alone
  bool founds_cluster_ = false;                          // written while it starts
  std::unique_ptr<EndsWhenAsked> ends_when_asked_;       // null: its start does not wait
  std::unique_ptr<SqliteEventLog> log_;
  std::unique_ptr<LogTrimmer> log_trimmer_;  // null: this gateway is alone
  std::unique_ptr<ReadQueue> subscription_reads_;
  std::unique_ptr<Executor> subscription_executor_;
  std::unique_ptr<SubscriptionRegistry> subscriptions_;
  std::unique_ptr<StorageWatch> storage_watch_;
  std::unique_ptr<ReplicaRoute> leader_route_;  // null: it has no port for peers
  std::unique_ptr<LeaderSink> leader_sink_;     // the same
  std::unique_ptr<WebhookHandler> webhook_handler_;
  std::unique_ptr<StatusKeeper> status_keeper_;
  std::unique_ptr<GatewayProbe> probe_;
  std::unique_ptr<LeaderDuties> duties_;
  std::unique_ptr<CallForwarder> forwarder_;  // null: it has no port for peers
  std::unique_ptr<RpcServer> rpc_server_;
  std::unique_ptr<PeerServer> peer_server_;  // null: it has no port for peers
  std::unique_ptr<HttpServer> webhook_server_;
  std::unique_ptr<AdminHandler> admin_handler_;
  std::unique_ptr<HttpServer> admin_server_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_GATEWAY_GATEWAY_H_
