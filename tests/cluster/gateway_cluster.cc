#include "tests/cluster/gateway_cluster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/cluster/engine_process.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongEnough = absl::Seconds(60);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);

std::string Get(const std::string& path) {
  return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
}

std::string RequestOf(const std::string& webhook_id) {
  SignedWebhook webhook;
  webhook.webhook_id = webhook_id;
  webhook.body = BatchFailedBody(absl::StrCat("batch_of_", webhook_id));
  webhook.more_fields = {{"Connection", "close"}};
  return webhook.Request();
}

// Reads and writes of it end after `wait` each.
std::optional<int> TryConnect(const std::string& address, absl::Duration wait) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(address, ':');
  int port = 0;
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  if (!absl::SimpleAtoi(parts.second, &port) ||
      inet_pton(AF_INET, parts.first.c_str(), &to.sin_addr) != 1) {
    return std::nullopt;
  }
  to.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience = absl::ToTimeval(wait);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0) return fd;
  close(fd);
  return std::nullopt;
}

// Nothing if it is not whole.
std::optional<HttpReply> ParseReply(const std::string& text) {
  const size_t end = text.find("\r\n\r\n");
  HttpReply reply;
  if (end == std::string::npos ||
      !absl::SimpleAtoi(text.substr(std::min(text.find(' ') + 1, end), 3), &reply.status)) {
    return std::nullopt;
  }
  reply.body = text.substr(end + 4);
  return reply;
}

std::string NameOf(int replica) { return std::string(1, static_cast<char>('a' + replica)); }

// As hookgated asks of a file that may hold a password or a key.
void WriteSecretFile(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace

GatewayCluster::GatewayCluster(const Options& options) {
  for (int i = 0; i < kReplicas; ++i) data_dirs_[i] = FreshTestFolder();
  if (options.peers) {
    const TestAuthority authority;
    for (int i = 0; i < kReplicas; ++i) {
      peer_ports_[i] = FreePort();
      const TestCertificate pair = authority.Issue(absl::StrCat("DNS:", NameOf(i)));
      WriteSecretFile(data_dirs_[i] + ".crt", pair.certificate);
      WriteSecretFile(data_dirs_[i] + ".key", pair.key);
      WriteSecretFile(data_dirs_[i] + ".ca", authority.certificate());
    }
    for (int from = 0; from < kReplicas; ++from) {
      for (int to = 0; to < kReplicas; ++to) {
        if (from != to) links_[from][to] = std::make_unique<TcpLink>(peer_ports_[to]);
      }
    }
  }
  for (int i = 0; i < kReplicas; ++i) {
    if (options.faulty_machines) machines_[i] = std::make_unique<FaultyMachine>();
    configs_[i] = absl::StrCat(data_dirs_[i], ".textproto");
    WriteSecretFile(configs_[i],
                    absl::StrCat("cluster {\n  name: \"hooks\"\n  replica: \"", NameOf(i), "\"\n  ",
                                 options.engine(i), "\n", options.peers ? PeersConfig(i) : "",
                                 "}\n", options.more));
  }
}

std::string GatewayCluster::PeersConfig(int replica) const {
  std::string text =
      absl::StrCat("  peers {\n    listen_address: \"127.0.0.1:", peer_ports_[replica],
                   "\"\n    tls {\n      certificate_file: \"", data_dirs_[replica],
                   ".crt\"\n      key_file: \"", data_dirs_[replica],
                   ".key\"\n      client_ca_file: \"", data_dirs_[replica], ".ca\"\n    }\n");
  for (int to = 0; to < kReplicas; ++to) {
    if (to == replica) continue;
    absl::StrAppend(&text, "    peers { name: \"", NameOf(to),
                    "\" address: \"127.0.0.1:", links_[replica][to]->port(), "\" }\n");
  }
  return text + "  }\n";
}

void GatewayCluster::Start(int replica, const std::string& program) {
  processes_[replica] =
      HookgatedProcess::Start(data_dirs_[replica], {absl::StrCat("--config=", configs_[replica])},
                              machines_[replica] == nullptr ? std::vector<std::string>()
                                                            : machines_[replica]->environment(),
                              /*max_files=*/0, program);
  paused_[replica] = false;
  SetAddresses(replica, processes_[replica]->http(), processes_[replica]->grpc());
}

void GatewayCluster::StartAll() {
  for (int i = 0; i < kReplicas; ++i) Start(i);
}

void GatewayCluster::Kill(int replica) {
  SetAddresses(replica, "", "");
  processes_[replica] = nullptr;
}

int GatewayCluster::Stop(int replica) {
  processes_[replica]->Signal(SIGTERM);
  const int exit_code = processes_[replica]->WaitForExit();
  SetAddresses(replica, "", "");
  processes_[replica] = nullptr;
  return exit_code;
}

void GatewayCluster::Wipe(int replica) { std::filesystem::remove_all(data_dirs_[replica]); }

void GatewayCluster::Pause(int replica) {
  paused_[replica] = true;
  processes_[replica]->Signal(SIGSTOP);
}

void GatewayCluster::Resume(int replica) {
  processes_[replica]->Signal(SIGCONT);
  paused_[replica] = false;
}

bool GatewayCluster::Says200(int replica, const std::string& path) const {
  if (!runs(replica) || paused_[replica]) return false;
  const auto reply = TryExchange(processes_[replica]->admin(), Get(path), kSenderPatience);
  return reply.has_value() && reply->status == 200;
}

int GatewayCluster::AwaitLeader(int other_than, absl::Duration patience) const {
  const absl::Time end = absl::Now() + patience;
  while (absl::Now() < end) {
    for (int i = 0; i < kReplicas; ++i) {
      if (i != other_than && Leads(i)) return i;
    }
    absl::SleepFor(kBetweenLooks);
  }
  return -1;
}

std::optional<HttpReply> GatewayCluster::Post(int replica, const std::string& webhook_id) const {
  return Exchange(processes_[replica]->http(), RequestOf(webhook_id));
}

std::optional<HttpReply> GatewayCluster::TryPost(int replica, const std::string& webhook_id,
                                                 absl::Duration patience) const {
  return TryExchange(http(replica), RequestOf(webhook_id), patience);
}

std::optional<HttpReply> TryExchange(const std::string& address, const std::string& request,
                                     absl::Duration patience) {
  const std::optional<int> fd = TryConnect(address, patience);
  if (!fd.has_value()) return std::nullopt;
  const bool sent = send(*fd, request.data(), request.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(request.size());
  std::string received;
  char some[4096];
  ssize_t count = 0;
  while (sent && (count = recv(*fd, some, sizeof(some), 0)) > 0) {
    received.append(some, static_cast<size_t>(count));
  }
  close(*fd);
  return ParseReply(received);
}

void GatewayCluster::SetAddresses(int replica, const std::string& http, const std::string& grpc) {
  absl::MutexLock lock(&mu_);
  http_[replica] = http;
  grpc_[replica] = grpc;
}

std::string GatewayCluster::http(int replica) const {
  absl::MutexLock lock(&mu_);
  return http_[replica];
}

std::string GatewayCluster::grpc(int replica) const {
  absl::MutexLock lock(&mu_);
  return grpc_[replica];
}

bool GatewayCluster::IsWell(int replica) const {
  if (!runs(replica) || paused_[replica]) return false;
  const auto reply = TryExchange(processes_[replica]->admin(), Get("/readyz"), kSenderPatience);
  if (!reply.has_value()) return false;
  const size_t reasons = std::min(reply->body.find('['), reply->body.size());
  const bool one_reason = reply->body.find("\",\"", reasons) == std::string::npos;
  const bool follows = absl::StrContains(reply->body, " does not lead cluster ") ||
                       absl::StrContains(reply->body, "no replica leads cluster ");
  return reply->status == 200 || (one_reason && follows);
}

bool GatewayCluster::AwaitAllWell() const {
  const absl::Time end = absl::Now() + kLongEnough;
  while (absl::Now() < end) {
    int well = 0;
    int running = 0;
    for (int i = 0; i < kReplicas; ++i) {
      if (!runs(i)) continue;
      ++running;
      if (IsWell(i)) ++well;
    }
    if (well == running) return true;
    absl::SleepFor(kBetweenLooks);
  }
  for (int i = 0; i < kReplicas; ++i) {
    if (!runs(i) || paused_[i]) continue;
    const auto reply = TryExchange(processes_[i]->admin(), Get("/readyz"), kSenderPatience);
    std::cout << "replica " << i << ": "
              << (reply.has_value() ? reply->body : std::string("no answer")) << std::endl;
  }
  return false;
}

bool GatewayCluster::AwaitAllApplied() const {
  const absl::Time end = absl::Now() + kLongEnough;
  // While the leader is idle it appends a record now and then, so nobody need hold what has just
  // come: what was known at the look before is enough, since nobody sends any more.
  std::optional<double> before;
  while (absl::Now() < end) {
    double least = std::numeric_limits<double>::infinity();
    double known = 0;
    for (int i = 0; i < kReplicas; ++i) {
      if (!runs(i)) continue;
      const std::string& admin = processes_[i]->admin();
      least = std::min(least, Scraped(admin, "hookgate_cluster_applied_index").value_or(-1));
      known = std::max(known, Scraped(admin, "hookgate_cluster_known_index").value_or(-1));
    }
    if (before.has_value() && least >= *before) return true;
    before = known;
    absl::SleepFor(kBetweenLooks);
  }
  return false;
}

std::optional<double> Scraped(const std::string& admin_address, const std::string& series) {
  const auto reply = TryExchange(admin_address, Get("/metrics"), GatewayCluster::kSenderPatience);
  if (!reply.has_value()) return std::nullopt;
  for (const absl::string_view line : absl::StrSplit(reply->body, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    double value = 0;
    if (parts.first == series && absl::SimpleAtod(parts.second, &value)) return value;
  }
  return std::nullopt;
}

}  // namespace hookgate
