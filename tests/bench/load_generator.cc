#include "tests/bench/load_generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "server/base/current_thread.h"

namespace hookgate {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "bench: " << what << ": " << std::strerror(errno) << "\n";
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

// Requests are small and servers read them as they come: a send never blocks for long.
void SendAll(int fd, const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) Die("send");
    sent += static_cast<size_t>(n);
  }
}

struct Connection {
  int number = 0;
  int fd = -1;
  size_t request = 0;  // the one under way
  std::string received;

  void Receive() {
    char bytes[16384];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0) Die("the server closed a connection");
    received.append(bytes, static_cast<size_t>(n));
  }
};

class Generator {
 public:
  Generator(const LoadPlan& plan, absl::Span<const std::string> requests)
      : plan_(plan),
        requests_(requests),
        poller_(epoll_create1(EPOLL_CLOEXEC)),
        connections_(static_cast<size_t>(plan.connections)),
        events_(connections_.size()),
        due_(requests.size()) {
    result_.latencies.resize(requests.size());
    result_.answered_at.resize(requests.size());
    for (size_t i = 0; i < connections_.size(); ++i) Open(static_cast<int>(i), connections_[i]);
  }
  ~Generator() {
    for (const Connection& connection : connections_) close(connection.fd);
    close(poller_);
  }

  LoadResult Run() {
    // What else makes load on this core is not to be taken for the server's latency.
    AskForShortTimeSlices();
    start_ = absl::Now();
    for (size_t i = 0; plan_.per_second > 0 && i < due_.size(); ++i) {
      due_[i] = start_ + absl::Seconds(static_cast<double>(i) / plan_.per_second);
    }
    SendDue();
    while (answered_ < requests_.size()) {
      Poll();
      SendDue();
    }
    result_.elapsed = absl::Now() - start_;
    return std::move(result_);
  }

 private:
  void Open(int number, Connection& connection) {
    connection.number = number;
    connection.fd = Connect(plan_.address);
    const LoadProtocol& protocol = plan_.protocol;
    if (protocol.greeting != nullptr) {
      SendAll(connection.fd, protocol.greeting(number));
      while (!absl::EndsWith(connection.received, protocol.greeting_reply_end)) {
        connection.Receive();
      }
      connection.received.clear();
    }
    epoll_event event = {.events = EPOLLIN, .data = {.ptr = &connection}};
    epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &event);
    free_.push_back(&connection);
  }

  // The next request is due now, or it is only waited for answers.
  absl::Duration UntilNextSend() const {
    if (next_ == requests_.size() || free_.empty()) return kPatience;
    return std::clamp(due_[next_] - absl::Now(), absl::ZeroDuration(), kPatience);
  }

  void SendDue() {
    while (next_ < requests_.size() && !free_.empty()) {
      const absl::Time now = absl::Now();
      if (plan_.per_second > 0 && now < due_[next_]) return;
      // A request that was due when no connection was free has waited since then, and that counts.
      if (plan_.per_second <= 0) due_[next_] = now;
      Connection& connection = *free_.front();
      free_.pop_front();
      connection.request = next_;
      const std::string& request = requests_[next_++];
      const auto& to_wire = plan_.protocol.to_wire;
      SendAll(connection.fd, to_wire == nullptr ? request : to_wire(connection.number, request));
    }
  }

  void Poll() {
    const timespec timeout = absl::ToTimespec(UntilNextSend());
    const int ready =
        epoll_pwait2(poller_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
    if (ready < 0 && errno != EINTR) Die("epoll_pwait2");
    if (ready == 0 && UntilNextSend() == kPatience) Die("no answer for 30 s");
    for (int i = 0; i < ready; ++i) {
      auto& connection = *static_cast<Connection*>(events_[static_cast<size_t>(i)].data.ptr);
      connection.Receive();
      TakeAnswer(connection);
    }
  }

  void TakeAnswer(Connection& connection) {
    const auto answer = plan_.protocol.parse(connection.received);
    if (!answer.has_value()) return;
    connection.received.erase(0, answer->bytes);
    if (!answer->good) ++result_.refused;
    const absl::Time now = absl::Now();
    result_.latencies[connection.request] = now - due_[connection.request];
    result_.answered_at[connection.request] = now;
    ++answered_;
    free_.push_back(&connection);
  }

  const LoadPlan& plan_;
  const absl::Span<const std::string> requests_;
  const int poller_;
  std::vector<Connection> connections_;
  // With no request under way. The one that has been free for longest is next: servers close
  // connections that stay silent.
  std::deque<Connection*> free_;
  std::vector<epoll_event> events_;
  std::vector<absl::Time> due_;
  absl::Time start_;
  size_t next_ = 0;
  size_t answered_ = 0;
  LoadResult result_;
};

absl::optional<LoadProtocol::Answer> ParseHttp(absl::string_view received) {
  const size_t head_end = received.find("\r\n\r\n");
  if (head_end == absl::string_view::npos) return absl::nullopt;
  // As Hookgate writes it, and as Node does: looking at every line would cost the load too much.
  size_t field = received.find("\r\nContent-Length: ");
  if (field == absl::string_view::npos) field = received.find("\r\ncontent-length: ");
  if (field == absl::string_view::npos || field > head_end) {
    Die("an answer has no Content-Length");
  }
  const size_t length = std::strtoul(received.data() + field + 18, nullptr, 10);
  const size_t bytes = head_end + 4 + length;
  if (received.size() < bytes) return absl::nullopt;
  return LoadProtocol::Answer{.bytes = bytes, .good = absl::StartsWith(received, "HTTP/1.1 200")};
}

}  // namespace

LoadProtocol HttpProtocol() { return {.parse = &ParseHttp}; }

LoadResult RunLoad(const LoadPlan& plan, absl::Span<const std::string> requests) {
  return Generator(plan, requests).Run();
}

}  // namespace hookgate
