// PostgreSQL for tests: a primary, and synchronous standbys, on loopback, of Debian's package.
#ifndef HOOKGATE_TESTS_CLUSTER_POSTGRES_CLUSTER_H_
#define HOOKGATE_TESTS_CLUSTER_POSTGRES_CLUSTER_H_

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/engine_process.h"

namespace hookgate {

// Server 0 is made as the primary, the others as its standbys. For one thread.
class PostgresCluster {
 public:
  struct Options {
    int standbys = 1;
    bool checksums = true;
    // Of these many standbys a commit waits for one: all by default; 0: synchronous_standby_names
    // stays empty.
    int synchronous = -1;
    std::vector<std::string> settings;  // "name = value", of every server
    std::string folder = "/tmp";        // where their folders are made
    // Each server has a disk of its own that the test can fill, where the system lets us.
    bool small_disks = false;
  };

  // Null, once it has printed why, if PostgreSQL is not installed, or no user may run it (it
  // refuses root); the same, with what it logged, if it does not start.
  static std::unique_ptr<PostgresCluster> Start(const Options& options);
  static std::unique_ptr<PostgresCluster> Start() { return Start(Options()); }

  // Of one server, and of all, as a client that looks for the primary is given them.
  std::string Uri(int server = 0) const;
  std::string UriOfAll() const;
  std::string Config() const;  // postgresql { ... }: what a gateway's config says of all of them
  int servers() const { return static_cast<int>(servers_.size()); }
  int port(int server) const { return servers_[server].port; }
  std::string data_dir(int server) const { return servers_[server].data_dir; }

  // Runs SQL as the superuser; what it returned, unaligned, without the last line break. "" as well
  // if it failed.
  std::string Execute(int server, const std::string& sql) const;
  // Changes a setting, and waits until the server says that it has it.
  bool Set(int server, const std::string& name, const std::string& value) const;
  // SIGSTOP and SIGCONT of a whole server.
  void Freeze(int server) { servers_[server].process->SignalAll(SIGSTOP); }
  void Thaw(int server) { servers_[server].process->SignalAll(SIGCONT); }
  bool Runs(int server) { return servers_[server].process->Runs(); }
  // With Options::small_disks; null if there is none.
  SmallDisk* disk(int server) { return servers_[server].disk.get(); }
  // kill -9 of a whole server.
  void Kill(int server) { servers_[server].process->Kill(); }
  // A fast shutdown, and waits for its end.
  void Stop(int server);
  // Starts one that was killed or stopped; false if it does not come up.
  bool StartAgain(int server);
  // Cancels waits of the primary's clients for a standby until it has cancelled so many, or nobody
  // has waited for a minute. How many.
  int CancelWaitsForStandbys(int wanted) const;
  // Makes a standby the primary.
  bool Promote(int server) const;
  std::string log(int server) const;

 private:
  struct Server {
    std::string data_dir;
    std::string log_path;
    int port = 0;
    std::unique_ptr<SmallDisk> disk;
    std::unique_ptr<EngineProcess> process;  // ends first
  };

  explicit PostgresCluster(const std::string& folder) : folder_(folder) {}

  bool Make(const Options& options);
  bool MakeStandby(int server);
  bool Launch(int server);
  std::vector<std::string> AsUser(std::vector<std::string> command) const;
  std::string Program(const std::string& name) const { return bin_ + "/" + name; }

  EngineFolder folder_;
  std::string bin_;                // where PostgreSQL's programs are
  std::vector<std::string> user_;  // what makes a command run as another user than root
  std::vector<Server> servers_;
};

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_CLUSTER_POSTGRES_CLUSTER_H_
