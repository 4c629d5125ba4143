#include "tests/cluster/nats_cluster.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace hookgate {
namespace {

// The oldest that can sync always.
constexpr int kOldestMinor = 10;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

bool IsNewEnough(const std::string& program) {
  // "nats-server: v2.12.3"
  const std::string output = OutputOf({program, "--version"});
  const size_t v = output.find(": v");
  if (v == std::string::npos) return false;
  const std::vector<std::string> parts = absl::StrSplit(output.substr(v + 3), '.');
  int major = 0;
  int minor = 0;
  return parts.size() >= 2 && absl::SimpleAtoi(parts[0], &major) &&
         absl::SimpleAtoi(parts[1], &minor) && (major > 2 || (major == 2 && minor >= kOldestMinor));
}

}  // namespace

std::string FindNatsServer() {
  std::vector<std::string> candidates;
  if (const char* const named = std::getenv("HOOKGATE_NATS_SERVER")) candidates.push_back(named);
  // Bazel's tests have no HOME.
  if (const passwd* const user = getpwuid(getuid())) {
    candidates.push_back(absl::StrCat(user->pw_dir, "/.cache/hookgate-cluster/bin/nats-server"));
  }
  for (const char* const folder : {"/usr/local/bin", "/usr/local/sbin", "/usr/bin", "/usr/sbin"}) {
    candidates.push_back(absl::StrCat(folder, "/nats-server"));
  }
  for (const std::string& candidate : candidates) {
    std::error_code error;
    if (std::filesystem::exists(candidate, error) && IsNewEnough(candidate)) return candidate;
  }
  return "";
}

std::unique_ptr<NatsCluster> NatsCluster::Start(const Options& options) {
  std::unique_ptr<NatsCluster> cluster(new NatsCluster(options.folder));
  cluster->program_ = FindNatsServer();
  if (cluster->program_.empty()) {
    std::cout << "skipped: no nats-server from 2." << kOldestMinor << " on is installed\n";
    return nullptr;
  }
  if (cluster->Make(options)) return cluster;
  std::cout << "the NATS servers do not become a cluster:\n";
  for (int i = 0; i < cluster->servers(); ++i) std::cout << cluster->log(i);
  return nullptr;
}

bool NatsCluster::Make(const Options& options) {
  const std::string& folder = folder_.path();
  std::vector<std::string> routes;
  for (int i = 0; i < options.servers; ++i) {
    Server server;
    server.config_path = absl::StrCat(folder, "/n", i, ".conf");
    server.store_dir = absl::StrCat(folder, "/n", i);
    server.log_path = absl::StrCat(folder, "/n", i, ".log");
    server.port = FreePort();
    server.monitoring_port = FreePort();
    server.cluster_port = FreePort();
    if (options.small_disks) server.disk = SmallDisk::Mount(server.store_dir);
    routes.push_back(absl::StrCat("nats://127.0.0.1:", server.cluster_port));
    servers_.push_back(std::move(server));
  }
  for (int i = 0; i < options.servers; ++i) {
    const Server& server = servers_[i];
    std::ofstream config(server.config_path);
    config << "server_name: n" << i << "\nhost: 127.0.0.1\nport: " << server.port
           << "\nhttp: 127.0.0.1:" << server.monitoring_port
           << "\nmax_payload: " << options.max_payload << "\njetstream {\n  store_dir: \""
           << server.store_dir << "\"\n  sync_interval: " << options.sync_interval
           << "\n  max_memory_store: 64MB\n  max_file_store: 4GB\n}\n";
    if (options.servers > 1) {
      config << "cluster {\n  name: test\n  listen: 127.0.0.1:" << server.cluster_port
             << "\n  routes: [" << absl::StrJoin(routes, ", ") << "]\n}\n";
    }
  }
  for (int i = 0; i < options.servers; ++i) {
    if (!Launch(i)) return false;
  }
  return BecomesTrue([this] { return IsWhole(); });
}

bool NatsCluster::Launch(int server) {
  Server& wanted = servers_[server];
  wanted.process =
      EngineProcess::Start({program_, "--config", wanted.config_path}, wanted.log_path);
  return wanted.process != nullptr;
}

bool NatsCluster::StartAgain(int server) {
  return Launch(server) && BecomesTrue([&] {
           return absl::StrContains(
               OutputOf({"curl", "--silent", "--max-time", "2",
                         absl::StrCat(MonitoringUrl(server), "/healthz?js-enabled-only=true")}),
               "\"ok\"");
         });
}

void NatsCluster::WipeDisk(int server) {
  std::error_code error;
  std::filesystem::remove_all(servers_[server].store_dir, error);
}

bool NatsCluster::IsWhole() const {
  for (int i = 0; i < servers(); ++i) {
    const std::string answer =
        OutputOf({"curl", "--silent", "--max-time", "2", absl::StrCat(MonitoringUrl(i), "/jsz")});
    if (!absl::StrContains(answer, "\"config\"")) return false;
    if (servers() > 1 &&
        (!absl::StrContains(answer, "\"leader\": \"n") ||
         !absl::StrContains(answer, "\"cluster_size\": " + absl::StrCat(servers())))) {
      return false;
    }
    // Of the leader alone: the others.
    if (absl::StrContains(answer, "\"offline\": true")) return false;
  }
  return true;
}

std::string NatsCluster::Url(int server) const {
  return absl::StrCat("nats://127.0.0.1:", servers_[server].port);
}

std::string NatsCluster::MonitoringUrl(int server) const {
  return absl::StrCat("http://127.0.0.1:", servers_[server].monitoring_port);
}

std::vector<std::string> NatsCluster::Urls() const {
  std::vector<std::string> urls;
  for (int i = 0; i < servers(); ++i) urls.push_back(Url(i));
  return urls;
}

std::vector<std::string> NatsCluster::MonitoringUrls() const {
  std::vector<std::string> urls;
  for (int i = 0; i < servers(); ++i) urls.push_back(MonitoringUrl(i));
  return urls;
}

std::string NatsCluster::Config() const {
  std::string text = "jetstream {";
  for (const std::string& url : Urls()) absl::StrAppend(&text, " servers: \"", url, "\"");
  for (const std::string& url : MonitoringUrls()) {
    absl::StrAppend(&text, " monitoring_urls: \"", url, "\"");
  }
  return text + " }";
}

std::string NatsCluster::log(int server) const { return ReadFile(servers_[server].log_path); }

}  // namespace hookgate
