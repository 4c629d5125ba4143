#include "tests/bench/load_generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace hookgate {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "gateway_bench: " << what << ": " << std::strerror(errno) << "\n";
  std::exit(1);
}

int Connect(const std::string& address) {
  const std::pair<std::string, std::string> host_port = absl::StrSplit(address, ':');
  int port = 0;
  sockaddr_in peer = {};
  peer.sin_family = AF_INET;
  if (!absl::SimpleAtoi(host_port.second, &port) ||
      inet_pton(AF_INET, host_port.first.c_str(), &peer.sin_addr) != 1) {
    Die("no address: " + address);
  }
  peer.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0) Die("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

// Requests are small and the gateway reads them as they come: a send never blocks for long.
void SendAll(int fd, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) Die("send");
    sent += static_cast<size_t>(n);
  }
}

struct Connection {
  int fd = -1;
  absl::Time sent_at;
  std::string received;

  // Whether an answer is whole; takes it then.
  bool TakeAnswer(int& status) {
    constexpr absl::string_view kLength = "\r\nContent-Length: ";
    const size_t head_end = received.find("\r\n\r\n");
    if (head_end == std::string::npos) return false;
    const size_t field = received.find(kLength.data());
    if (field == std::string::npos || field > head_end) Die("an answer has no Content-Length");
    const size_t length = std::strtoul(received.c_str() + field + kLength.size(), nullptr, 10);
    if (received.size() < head_end + 4 + length) return false;
    status = std::atoi(received.c_str() + sizeof("HTTP/1.1"));
    received.erase(0, head_end + 4 + length);
    return true;
  }
};

}  // namespace

LoadResult RunLoad(const std::string& address, int connections,
                   absl::Span<const std::string> requests) {
  LoadResult result;
  result.latencies.reserve(requests.size());
  std::vector<Connection> open(static_cast<size_t>(connections));
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (Connection& connection : open) {
    connection.fd = Connect(address);
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = &connection}};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection.fd, &event);
  }
  size_t next = 0;
  const absl::Time start = absl::Now();
  const auto send_next = [&](Connection& connection) {
    if (next == requests.size()) return;
    connection.sent_at = absl::Now();
    SendAll(connection.fd, requests[next++]);
  };
  for (Connection& connection : open) send_next(connection);
  std::vector<epoll_event> events(open.size());
  while (result.latencies.size() < requests.size()) {
    const int ready = epoll_wait(poller, events.data(), connections, 30'000);
    if (ready <= 0) Die("no answer for 30 s");
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      char bytes[4096];
      const ssize_t n = recv(connection.fd, bytes, sizeof(bytes), 0);
      if (n <= 0) Die("the gateway closed a connection");
      connection.received.append(bytes, static_cast<size_t>(n));
      int status = 0;
      if (!connection.TakeAnswer(status)) continue;
      if (status != 200) ++result.refused;
      result.latencies.push_back(absl::Now() - connection.sent_at);
      send_next(connection);
    }
  }
  result.elapsed = absl::Now() - start;
  for (const Connection& connection : open) close(connection.fd);
  close(poller);
  return result;
}

}  // namespace hookgate
