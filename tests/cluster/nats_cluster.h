// NATS servers for tests: a cluster on loopback whose JetStream syncs always.
#ifndef HOOKGATE_TESTS_CLUSTER_NATS_CLUSTER_H_
#define HOOKGATE_TESTS_CLUSTER_NATS_CLUSTER_H_

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/engine_process.h"

namespace hookgate {

// For one thread.
class NatsCluster {
 public:
  struct Options {
    int servers = 3;
    std::string sync_interval = "always";
    int max_payload = 8 << 20;
    std::string folder = "/tmp";  // where their folders are made
    // Each server has a disk of its own that the test can fill, where the system lets us.
    bool small_disks = false;
  };

  // Null, once it has printed why, if no nats-server from 2.10 on is installed (bazel/check
  // --install does it). The same, with what they logged, if they do not become one cluster.
  static std::unique_ptr<NatsCluster> Start(const Options& options);
  static std::unique_ptr<NatsCluster> Start() { return Start(Options()); }

  int servers() const { return static_cast<int>(servers_.size()); }
  int port(int server) const { return servers_[server].port; }
  std::string Url(int server) const;            // nats://127.0.0.1:PORT
  std::string MonitoringUrl(int server) const;  // http://127.0.0.1:PORT
  std::vector<std::string> Urls() const;
  std::vector<std::string> MonitoringUrls() const;
  std::string Config() const;  // jetstream { ... }: what a gateway's config says of all of them
  std::string store_dir(int server) const { return servers_[server].store_dir; }

  void Freeze(int server) { servers_[server].process->Signal(SIGSTOP); }
  void Thaw(int server) { servers_[server].process->Signal(SIGCONT); }
  // With Options::small_disks; null if there is none.
  SmallDisk* disk(int server) { return servers_[server].disk.get(); }
  // kill -9.
  void Kill(int server) { servers_[server].process->Kill(); }
  // Starts one that was killed; false if it does not come up.
  bool StartAgain(int server);
  // Of one that was killed: all that it stored.
  void WipeDisk(int server);
  // Whether each server has a leader and knows all others to be up.
  bool IsWhole() const;
  std::string log(int server) const;

 private:
  struct Server {
    std::string config_path;
    std::string store_dir;
    std::string log_path;
    int port = 0;
    int monitoring_port = 0;
    int cluster_port = 0;
    std::unique_ptr<SmallDisk> disk;
    std::unique_ptr<EngineProcess> process;  // ends first
  };

  explicit NatsCluster(const std::string& folder) : folder_(folder) {}

  bool Make(const Options& options);
  bool Launch(int server);

  EngineFolder folder_;
  std::string program_;
  std::vector<Server> servers_;
};

// Where a nats-server from 2.10 on is; "" if there is none.
std::string FindNatsServer();

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_NATS_CLUSTER_H_
