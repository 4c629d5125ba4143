// A cluster under load of which everything can be broken: the gateways, the engine, what is between
// them, their disks and clocks.
#ifndef HOOKGATE_TESTS_CLUSTER_FAULT_WORLD_H_
#define HOOKGATE_TESTS_CLUSTER_FAULT_WORLD_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/cluster/cluster_load.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/cluster/tcp_link.h"

namespace hookgate {

enum class EngineKind { kPostgres, kJetStream };

// For one thread. What does not come up, or breaks a promise, fails the test.
class FaultWorld {
 public:
  static constexpr int kReplicas = GatewayCluster::kReplicas;

  // Null, once it has printed why, if the engine is not installed.
  //   small_disks  each of the engine's servers has one (engine_disk), if the system lets us
  static std::unique_ptr<FaultWorld> Start(EngineKind kind, uint64_t seed,
                                           bool small_disks = false);

  // How far the wall clock of a replica is ahead of the test's, unless a round has set it wrong.
  static absl::Duration ClockOf(int replica) {
    return absl::Minutes(replica == 0 ? 0 : replica == 1 ? 10 : -10);
  }

  GatewayCluster& gateways() { return *gateways_; }
  ClusterLoad& load() { return *load_; }
  PostgresCluster* postgres() { return postgres_.get(); }  // null: it is another engine
  NatsCluster* nats() { return nats_.get(); }              // the same
  std::mt19937_64& random() { return random_; }
  int Any(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }

  int engine_servers() const;
  // How a replica reaches one of the engine's servers.
  TcpLink& engine_link(int replica, int server) { return *engine_links_[replica][server]; }
  void ForEachEngineLink(int replica, const std::function<void(TcpLink&)>& act);
  // Each connection between a gateway and the others, in both directions.
  void ForEachPeerLink(int replica, const std::function<void(TcpLink&)>& act);
  void ForEachLinkTo(int server, const std::function<void(TcpLink&)>& act);
  SmallDisk* engine_disk(int server);  // null if there is none
  // SIGSTOP and SIGCONT.
  void FreezeEngineServer(int server);
  void ThawEngineServer(int server);
  void KillEngineServer(int server);
  void StartEngineServer(int server);

  int AwaitLeader(int other_than = -1);
  int AnyFollower();

  // Runs one round under load: `act` breaks things and mends them. Then the senders stop, and it is
  // compared what everybody knows. Prints a line of figures. False if anything is not as promised.
  bool Round(const std::string& name, const std::function<void()>& act);
  // The sum of all rounds, for people.
  std::string Totals() const;

 private:
  explicit FaultWorld(uint64_t seed) : random_(seed) {}

  std::mt19937_64 random_;
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<NatsCluster> nats_;
  std::array<std::vector<std::unique_ptr<TcpLink>>, kReplicas> engine_links_;
  std::unique_ptr<GatewayCluster> gateways_;
  std::unique_ptr<ClusterLoad> load_;

  int rounds_ = 0;
  ClusterLoad::Counts sum_;
  size_t lost_ = 0;
  size_t broken_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_FAULT_WORLD_H_
