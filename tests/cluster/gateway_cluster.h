// Three real hookgated with one log, in processes of their own, and what the outside knows of them.
#ifndef HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_
#define HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_

#include <sys/types.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/cluster/tcp_link.h"
#include "tests/support/faulty_machine.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"

namespace hookgate {

// For one thread, but for what says otherwise.
class GatewayCluster {
 public:
  static constexpr int kReplicas = 3;
  // Longer than a gateway lets one wait.
  static constexpr absl::Duration kSenderPatience = absl::Milliseconds(2500);

  struct Options {
    // Of the config of one replica, such as `postgresql { uri: "..." }`.
    std::function<std::string(int replica)> engine;
    std::string more;  // other text for each config
    // They know each other, and reach each other through links.
    bool peers = false;
    // Each runs on a machine of which the test decides what fails.
    bool faulty_machines = false;
  };

  // Nobody runs yet.
  explicit GatewayCluster(const Options& options);
  explicit GatewayCluster(const std::string& engine, const std::string& more = "")
      : GatewayCluster(Options{.engine = [engine](int) { return engine; }, .more = more}) {}

  // Starts one on the folder that it had. Fails the test if it does not come up.
  //   program  of the test's `data`
  void Start(int replica, const std::string& program = kHookgated);
  void StartAll();
  // kill -9.
  void Kill(int replica);
  // SIGTERM, and its exit code.
  int Stop(int replica);
  // Empties the folder of one that does not run.
  void Wipe(int replica);
  // SIGSTOP and SIGCONT. Nothing is asked of one that stands still.
  void Pause(int replica);
  void Resume(int replica);
  // With Options::peers: how `from` reaches `to`.
  TcpLink& link(int from, int to) { return *links_[from][to]; }
  // With Options::faulty_machines.
  FaultyMachine& machine(int replica) { return *machines_[replica]; }
  bool runs(int replica) const { return processes_[replica] != nullptr; }
  HookgatedProcess& process(int replica) { return *processes_[replica]; }
  const std::string& data_dir(int replica) const { return data_dirs_[replica]; }
  // HOST:PORT; "" while it does not run. Any thread.
  std::string http(int replica) const ABSL_LOCKS_EXCLUDED(mu_);
  std::string grpc(int replica) const ABSL_LOCKS_EXCLUDED(mu_);
  // `replica` answers /leaderz or /readyz with 200.
  bool Leads(int replica) const { return Says200(replica, "/leaderz"); }
  bool IsReady(int replica) const { return Says200(replica, "/readyz"); }

  // The one that leads, other than `other_than`, before `patience` is over; -1: none does.
  int AwaitLeader(int other_than = -1, absl::Duration patience = absl::Seconds(60)) const;

  // Sends a webhook to one of them; nullopt if it did not answer.
  std::optional<HttpReply> Post(int replica, const std::string& webhook_id) const;

  // The same for senders: any thread, also while the replica is killed and started. Nothing is
  // asserted of it.
  std::optional<HttpReply> TryPost(int replica, const std::string& webhook_id,
                                   absl::Duration patience = kSenderPatience) const;

  // Whether `replica` has nothing to say against itself but, where it hands nothing on, that it
  // does not lead.
  bool IsWell(int replica) const;
  // Waits until all that run are well, with a generous patience. Otherwise prints what each says.
  bool AwaitAllWell() const;

  // Whether all that run have applied the same record, the newest that any of them knows of, before
  // a generous patience is over.
  bool AwaitAllApplied() const;

 private:
  std::string PeersConfig(int replica) const;
  void SetAddresses(int replica, const std::string& http, const std::string& grpc)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool Says200(int replica, const std::string& path) const;

  std::array<std::string, kReplicas> data_dirs_;
  std::array<std::string, kReplicas> configs_;
  std::array<std::unique_ptr<HookgatedProcess>, kReplicas> processes_;
  std::array<bool, kReplicas> paused_ = {};
  std::array<int, kReplicas> peer_ports_ = {};
  std::array<std::array<std::unique_ptr<TcpLink>, kReplicas>, kReplicas> links_;
  std::array<std::unique_ptr<FaultyMachine>, kReplicas> machines_;
  mutable absl::Mutex mu_;
  std::array<std::string, kReplicas> http_ ABSL_GUARDED_BY(mu_);
  std::array<std::string, kReplicas> grpc_ ABSL_GUARDED_BY(mu_);
};

// Sends `request` over a connection of its own, and waits for `patience` at most. Nothing is
// asserted of it. Any thread.
std::optional<HttpReply> TryExchange(const std::string& address, const std::string& request,
                                     absl::Duration patience);

// A number of a scrape, by the series' text, such as "hookgate_cluster_term"; nullopt: not there.
std::optional<double> Scraped(const std::string& admin_address, const std::string& series);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_GATEWAY_CLUSTER_H_
