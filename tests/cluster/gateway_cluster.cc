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

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

constexpr absl::Duration kLongEnough = absl::Seconds(60);
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);
constexpr absl::Duration kSenderPatience = absl::Seconds(5);

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

// Reads and writes of it end after kSenderPatience each.
std::optional<int> TryConnect(const std::string& address) {
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
  const timeval patience = absl::ToTimeval(kSenderPatience);
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

}  // namespace

GatewayCluster::GatewayCluster(const std::string& engine, const std::string& more) {
  for (int i = 0; i < kReplicas; ++i) {
    data_dirs_[i] = FreshTestFolder();
    configs_[i] = absl::StrCat(data_dirs_[i], ".textproto");
    std::ofstream(configs_[i]) << "cluster {\n  name: \"hooks\"\n  replica: \""
                               << static_cast<char>('a' + i) << "\"\n  " << engine << "\n}\n"
                               << more;
    // As hookgated asks of a file that may hold a password.
    std::filesystem::permissions(
        configs_[i], std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
}

void GatewayCluster::Start(int replica) {
  processes_[replica] =
      HookgatedProcess::Start(data_dirs_[replica], {absl::StrCat("--config=", configs_[replica])});
  SetHttp(replica, processes_[replica]->http());
}

void GatewayCluster::StartAll() {
  for (int i = 0; i < kReplicas; ++i) Start(i);
}

void GatewayCluster::Kill(int replica) {
  SetHttp(replica, "");
  processes_[replica] = nullptr;
}

int GatewayCluster::Stop(int replica) {
  processes_[replica]->Signal(SIGTERM);
  const int exit_code = processes_[replica]->WaitForExit();
  SetHttp(replica, "");
  processes_[replica] = nullptr;
  return exit_code;
}

void GatewayCluster::Wipe(int replica) { std::filesystem::remove_all(data_dirs_[replica]); }

bool GatewayCluster::Says200(int replica, const std::string& path) const {
  if (!runs(replica)) return false;
  const auto reply = Exchange(processes_[replica]->admin(), Get(path));
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

std::optional<HttpReply> GatewayCluster::TryPost(int replica, const std::string& webhook_id) const {
  std::string address;
  {
    absl::MutexLock lock(&mu_);
    address = http_[replica];
  }
  const std::optional<int> fd = TryConnect(address);
  if (!fd.has_value()) return std::nullopt;
  const std::string request = RequestOf(webhook_id);
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

void GatewayCluster::SetHttp(int replica, const std::string& address) {
  absl::MutexLock lock(&mu_);
  http_[replica] = address;
}

bool GatewayCluster::AwaitAllApplied() const {
  const absl::Time end = absl::Now() + kLongEnough;
  while (absl::Now() < end) {
    std::vector<double> applied;
    double known = 0;
    for (int i = 0; i < kReplicas; ++i) {
      if (!runs(i)) continue;
      const std::string& admin = processes_[i]->admin();
      applied.push_back(Scraped(admin, "hookgate_cluster_applied_index").value_or(-1));
      known = std::max(known, Scraped(admin, "hookgate_cluster_known_index").value_or(-1));
    }
    // While the leader is idle it appends a record now and then, so they need not be the same.
    const auto is_near = [known](double index) { return index >= known - 1; };
    if (std::all_of(applied.begin(), applied.end(), is_near)) return true;
    absl::SleepFor(kBetweenLooks);
  }
  return false;
}

std::optional<double> Scraped(const std::string& admin_address, const std::string& series) {
  const auto reply = Exchange(admin_address, Get("/metrics"));
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
