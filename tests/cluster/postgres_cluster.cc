#include "tests/cluster/postgres_cluster.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hookgate {
namespace {

constexpr int kNobody = 65534;

// Debian keeps each version's programs in a folder of its own; the newest.
std::string FindPrograms() {
  std::string found;
  std::error_code error;
  int newest = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > newest && std::filesystem::exists(entry.path() / "bin/postgres", error)) {
      newest = version;
      found = (entry.path() / "bin").string();
    }
  }
  return found;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::string Quoted(const std::string& text) { return absl::StrCat("'", text, "'"); }

}  // namespace

std::unique_ptr<PostgresCluster> PostgresCluster::Start(const Options& options) {
  std::unique_ptr<PostgresCluster> cluster(new PostgresCluster(options.folder));
  cluster->bin_ = FindPrograms();
  if (cluster->bin_.empty()) {
    std::cout << "skipped: PostgreSQL is not installed (Debian's package postgresql)\n";
    return nullptr;
  }
  if (geteuid() == 0) {
    // In a sandbox nobody else may exist, and root calls itself another one.
    const std::string id = absl::StrCat(kNobody);
    const std::vector<std::vector<std::string>> ways = {
        {"setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--pdeathsig=KILL"},
        {"unshare", "--user", "--map-user=" + id, "--map-group=" + id}};
    for (const auto& way : ways) {
      std::vector<std::string> probe = way;
      probe.push_back("true");
      if (RunToEnd(probe, cluster->folder_.path() + "/user.log") != 0) continue;
      cluster->user_ = way;
      break;
    }
    if (cluster->user_.empty()) {
      std::cout << "skipped: PostgreSQL refuses root, and no other user can be had here\n";
      return nullptr;
    }
    if (cluster->user_[0] == "setpriv" &&
        chown(cluster->folder_.path().c_str(), kNobody, kNobody) != 0) {
      std::cout << "skipped: " << cluster->folder_.path() << " cannot be given to nobody\n";
      return nullptr;
    }
  }
  if (cluster->Make(options)) return cluster;
  std::cout << "PostgreSQL does not start:\n";
  for (const auto& entry : std::filesystem::directory_iterator(cluster->folder_.path())) {
    if (entry.path().extension() == ".log") std::cout << ReadFile(entry.path().string());
  }
  return nullptr;
}

std::vector<std::string> PostgresCluster::AsUser(std::vector<std::string> command) const {
  std::vector<std::string> whole = user_;
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

bool PostgresCluster::Make(const Options& options) {
  const std::string& folder = folder_.path();
  for (int i = 0; i <= options.standbys; ++i) {
    Server server;
    server.data_dir = absl::StrCat(folder, "/s", i);
    server.log_path = absl::StrCat(folder, "/s", i, ".log");
    server.port = FreePort();
    if (options.small_disks) server.disk = SmallDisk::Mount(server.data_dir);
    servers_.push_back(std::move(server));
  }
  const Server& primary = servers_[0];
  std::vector<std::string> initdb = {Program("initdb"),     "--pgdata=" + primary.data_dir,
                                     "--username=postgres", "--auth=trust",
                                     "--no-sync",           "--no-locale",
                                     "--encoding=UTF8"};
  if (options.checksums) initdb.push_back("--data-checksums");
  if (RunToEnd(AsUser(initdb), folder + "/initdb.log") != 0) return false;
  // Standbys are copies, settings included.
  std::vector<std::string> settings = {"listen_addresses = '127.0.0.1'",
                                       absl::StrCat("unix_socket_directories = '", folder, "'"),
                                       "shared_buffers = 16MB",
                                       "max_connections = 60",
                                       "hot_standby = on",
                                       "wal_receiver_status_interval = 1"};
  if (options.small_disks) settings.push_back("max_wal_size = 128MB");
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  std::ofstream(primary.data_dir + "/postgresql.conf", std::ios::app)
      << absl::StrJoin(settings, "\n") << "\n";
  if (!Launch(0)) return false;
  std::vector<std::string> names;
  const int synchronous = options.synchronous < 0 ? options.standbys : options.synchronous;
  for (int i = 1; i <= options.standbys; ++i) {
    if (!MakeStandby(i) || !Launch(i)) return false;
    if (i <= synchronous) names.push_back(absl::StrCat("s", i));
  }
  const std::string streaming =
      "select count(*) from pg_stat_replication where state = 'streaming'";
  if (!BecomesTrue([&] { return Execute(0, streaming) == absl::StrCat(options.standbys); })) {
    return false;
  }
  return names.empty() || Set(0, "synchronous_standby_names",
                              absl::StrCat("ANY 1 (", absl::StrJoin(names, ", "), ")"));
}

bool PostgresCluster::MakeStandby(int server) {
  const Server& standby = servers_[server];
  const std::vector<std::string> copy = {
      Program("pg_basebackup"),
      "--pgdata=" + standby.data_dir,
      absl::StrCat("--dbname=host=127.0.0.1 user=postgres port=", servers_[0].port),
      "--checkpoint=fast",
      "--no-sync",
      "--wal-method=stream"};
  if (RunToEnd(AsUser(copy), standby.log_path) != 0) return false;
  std::ofstream(standby.data_dir + "/postgresql.auto.conf", std::ios::app)
      << "primary_conninfo = 'host=127.0.0.1 user=postgres port=" << servers_[0].port
      << " application_name=s" << server << "'\n";
  // Whoever may write in the folder makes it; the server only looks whether it is there.
  std::ofstream(standby.data_dir + "/standby.signal");
  return true;
}

bool PostgresCluster::Launch(int server) {
  Server& wanted = servers_[server];
  wanted.process = nullptr;
  // Processes of one that was killed may be there for a moment, and PostgreSQL does not start
  // beside them.
  return BecomesTrue([&] {
    if (wanted.process == nullptr || !wanted.process->Runs()) {
      wanted.process = EngineProcess::Start(
          AsUser({Program("postgres"), "-D", wanted.data_dir, "-p", absl::StrCat(wanted.port)}),
          wanted.log_path);
    }
    return wanted.process != nullptr && Execute(server, "select 1") == "1";
  });
}

std::string PostgresCluster::Uri(int server) const {
  return absl::StrCat("postgresql://postgres@127.0.0.1:", servers_[server].port, "/postgres");
}

std::string PostgresCluster::UriOfAll() const {
  std::vector<std::string> hosts;
  for (const Server& server : servers_) hosts.push_back(absl::StrCat("127.0.0.1:", server.port));
  return absl::StrCat("postgresql://postgres@", absl::StrJoin(hosts, ","), "/postgres");
}

std::string PostgresCluster::Config() const {
  return absl::StrCat("postgresql { uri: \"", UriOfAll(), "\" }");
}

std::string PostgresCluster::Execute(int server, const std::string& sql) const {
  std::string output =
      OutputOf({"timeout", "20", Program("psql"), "--no-psqlrc", "--quiet", "--no-align",
                "--tuples-only", "--dbname", Uri(server), "--command", sql});
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output;
}

bool PostgresCluster::Set(int server, const std::string& name, const std::string& value) const {
  Execute(server, absl::StrCat("alter system set ", name, " = ", Quoted(value)));
  Execute(server, "select pg_reload_conf()");
  return BecomesTrue([&] { return Execute(server, "show " + name) == value; });
}

void PostgresCluster::Stop(int server) {
  servers_[server].process->Signal(SIGINT);
  servers_[server].process->Wait();
}

bool PostgresCluster::StartAgain(int server) { return Launch(server); }

int PostgresCluster::CancelWaitsForStandbys(int wanted) const {
  int cancelled = 0;
  BecomesTrue([&] {
    int now = 0;
    const std::string answer = Execute(0,
                                       "select count(pg_cancel_backend(pid)) from pg_stat_activity"
                                       " where wait_event = 'SyncRep'");
    if (absl::SimpleAtoi(answer, &now)) cancelled += now;
    return cancelled >= wanted;
  });
  return cancelled;
}

bool PostgresCluster::Promote(int server) const {
  return Execute(server, "select pg_promote(true, 30)") == "t";
}

std::string PostgresCluster::log(int server) const { return ReadFile(servers_[server].log_path); }

}  // namespace hookgate
