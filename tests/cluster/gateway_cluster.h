// Three real hookgated with one log, in processes of their own, and what the outside knows of them.
#ifndef HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_
#define HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_

#include <sys/types.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"

namespace hookgate {

// For one thread, but for TryPost.
class GatewayCluster {
 public:
  static constexpr int kReplicas = 3;

  // `engine`: of the config, such as `postgresql { uri: "..." }`. Nobody runs yet.
  //   more  other text for each config
  explicit GatewayCluster(const std::string& engine, const std::string& more = "");

  // Starts one on the folder that it had. Fails the test if it does not come up.
  void Start(int replica);
  void StartAll();
  // kill -9.
  void Kill(int replica);
  // SIGTERM, and its exit code.
  int Stop(int replica);
  // Empties the folder of one that does not run.
  void Wipe(int replica);
  bool runs(int replica) const { return processes_[replica] != nullptr; }
  HookgatedProcess& process(int replica) { return *processes_[replica]; }
  const std::string& data_dir(int replica) const { return data_dirs_[replica]; }
  // `replica` answers /leaderz or /readyz with 200.
  bool Leads(int replica) const { return Says200(replica, "/leaderz"); }
  bool IsReady(int replica) const { return Says200(replica, "/readyz"); }

  // The one that leads, other than `other_than`, before `patience` is over; -1: none does.
  int AwaitLeader(int other_than = -1, absl::Duration patience = absl::Seconds(60)) const;

  // Sends a webhook to one of them; nullopt if it did not answer.
  std::optional<HttpReply> Post(int replica, const std::string& webhook_id) const;

  // The same for senders: any thread, also while the replica is killed and started. Nothing is
  // asserted of it.
  std::optional<HttpReply> TryPost(int replica, const std::string& webhook_id) const;

  // Whether all that run have applied the same record, the newest that any of them knows of, before
  // a generous patience is over.
  bool AwaitAllApplied() const;

 private:
  void SetHttp(int replica, const std::string& address) ABSL_LOCKS_EXCLUDED(mu_);
  bool Says200(int replica, const std::string& path) const;

  std::array<std::string, kReplicas> data_dirs_;
  std::array<std::string, kReplicas> configs_;
  std::array<std::unique_ptr<HookgatedProcess>, kReplicas> processes_;
  mutable absl::Mutex mu_;
  // Where webhooks go; "": it does not run.
  std::array<std::string, kReplicas> http_ ABSL_GUARDED_BY(mu_);
};

// A number of a scrape, by the series' text, such as "hookgate_cluster_term"; nullopt: not there.
std::optional<double> Scraped(const std::string& admin_address, const std::string& series);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_
