#include "tests/cluster/tcp_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace hookgate {
namespace {

constexpr size_t kMostHeld = 1 << 20;  // bytes of one direction that wait for their reader
constexpr size_t kFromEnd = 64;  // of a piece, where a bit is flipped: before what ends a message

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int NewSocket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

}  // namespace

TcpLink::TcpLink(int target_port) : target_port_(target_port) {
  listener_ = NewSocket();
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      listen(listener_, SOMAXCONN) == 0 &&
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port_ = ntohs(address.sin_port);
  }
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { Run(); });
}

TcpLink::~TcpLink() {
  {
    absl::MutexLock lock(&mu_);
    ending_ = true;
  }
  Wake();
  thread_.join();
  absl::MutexLock lock(&mu_);
  for (const Connection& connection : connections_) {
    close(connection.to_target.from);
    close(connection.to_caller.from);
  }
  close(listener_);
  close(wake_);
}

void TcpLink::Wake() const { eventfd_write(wake_, 1); }

void TcpLink::Set(Way to_target, Way to_caller) {
  {
    absl::MutexLock lock(&mu_);
    to_target_ = to_target;
    to_caller_ = to_caller;
  }
  Wake();
}

void TcpLink::Delay(absl::Duration delay) {
  absl::MutexLock lock(&mu_);
  delay_ = absl::ToChronoNanoseconds(delay);
}

void TcpLink::FlipABitToCaller(size_t least_bytes) {
  absl::MutexLock lock(&mu_);
  flip_from_ = least_bytes;
}

int64_t TcpLink::lost_bytes() const {
  absl::MutexLock lock(&mu_);
  return lost_bytes_;
}

int64_t TcpLink::flipped_bits() const {
  absl::MutexLock lock(&mu_);
  return flipped_bits_;
}

void TcpLink::Accept() {
  const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (caller < 0) return;
  const int on = 1;
  setsockopt(caller, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int target = NewSocket();
  const sockaddr_in address = Loopback(target_port_);
  if (connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS) {
    close(caller);
    close(target);
    return;
  }
  Connection connection;
  connection.to_target.from = connection.to_caller.to = caller;
  connection.to_target.to = connection.to_caller.from = target;
  connections_.push_back(std::move(connection));
}

bool TcpLink::Read(Flow& flow, Way way, Connection& connection) {
  char bytes[64 << 10];
  const ssize_t count = recv(flow.from, bytes, sizeof(bytes), 0);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) {
    flow.ended = true;
    return true;
  }
  const auto size = static_cast<size_t>(count);
  if (way == Way::kLost) {
    lost_bytes_ += count;
    connection.damaged = true;
    return true;
  }
  if (&flow == &connection.to_caller && flip_from_ > 0 && size >= flip_from_) {
    bytes[size > kFromEnd ? size - kFromEnd : 0] ^= 1;
    flip_from_ = 0;
    ++flipped_bits_;
  }
  // What comes after something that waits must not overtake it.
  if (delay_.count() > 0 || !flow.delayed.empty()) {
    const Time due = std::chrono::steady_clock::now() + delay_;
    flow.delayed.emplace_back(flow.delayed.empty() ? due : std::max(due, flow.delayed.back().first),
                              std::string(bytes, size));
    flow.delayed_bytes += size;
  } else {
    flow.bytes.append(bytes, size);
  }
  return true;
}

TcpLink::Time TcpLink::TakeDue(Flow& flow, Time now, Time none) {
  while (!flow.delayed.empty() && flow.delayed.front().first <= now) {
    flow.bytes += flow.delayed.front().second;
    flow.delayed_bytes -= flow.delayed.front().second.size();
    flow.delayed.pop_front();
  }
  return flow.delayed.empty() ? none : flow.delayed.front().first;
}

bool TcpLink::Write(Flow& flow) {
  if (!flow.bytes.empty()) {
    const ssize_t count = send(flow.to, flow.bytes.data(), flow.bytes.size(), MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
    flow.bytes.erase(0, static_cast<size_t>(count));
  }
  if (flow.ended && flow.bytes.empty() && flow.delayed.empty() && !flow.end_passed) {
    shutdown(flow.to, SHUT_WR);
    flow.end_passed = true;
  }
  return true;
}

void TcpLink::Run() {
  while (true) {
    std::vector<pollfd> wanted = {{.fd = wake_, .events = POLLIN, .revents = 0}};
    // Of a flow whether it is to be read, and whether to be written. A descriptor of which nothing
    // is wanted is left out: its end would be told again and again.
    const Time now = std::chrono::steady_clock::now();
    Time next = Time::max();  // when something that is delayed is due
    const auto add = [&](Flow& flow, Way way) {
      if (way != Way::kHeld) next = std::min(next, TakeDue(flow, now, Time::max()));
      const bool reads =
          way != Way::kHeld && !flow.ended && flow.bytes.size() + flow.delayed_bytes < kMostHeld;
      const bool passes_end = flow.ended && !flow.end_passed && flow.delayed.empty();
      const bool writes = way != Way::kHeld && (!flow.bytes.empty() || passes_end);
      wanted.push_back({.fd = reads ? flow.from : -1, .events = POLLIN, .revents = 0});
      wanted.push_back({.fd = writes ? flow.to : -1, .events = POLLOUT, .revents = 0});
    };
    {
      absl::MutexLock lock(&mu_);
      if (ending_) return;
      const bool accepts = to_target_ != Way::kHeld;
      wanted.push_back({.fd = accepts ? listener_ : -1, .events = POLLIN, .revents = 0});
      const bool open = to_target_ == Way::kOpen && to_caller_ == Way::kOpen;
      for (auto connection = connections_.begin(); connection != connections_.end();) {
        const bool over = connection->to_target.end_passed && connection->to_caller.end_passed;
        if (over || (open && connection->damaged)) {
          close(connection->to_target.from);
          close(connection->to_caller.from);
          connection = connections_.erase(connection);
          continue;
        }
        add(connection->to_target, to_target_);
        add(connection->to_caller, to_caller_);
        ++connection;
      }
    }
    int patience = -1;
    if (next != Time::max()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - now);
      patience = static_cast<int>(left.count()) + 1;
    }
    poll(wanted.data(), wanted.size(), patience);
    eventfd_t woken = 0;
    eventfd_read(wake_, &woken);
    absl::MutexLock lock(&mu_);
    size_t at = 2;
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      bool good = true;
      for (Flow* const flow : {&connection->to_target, &connection->to_caller}) {
        const Way way = flow == &connection->to_target ? to_target_ : to_caller_;
        const bool readable = wanted[at++].revents != 0;
        const bool writable = wanted[at++].revents != 0;
        // It may have been cut since it was asked for.
        if (way == Way::kHeld) continue;
        if (good && readable) good = Read(*flow, way, *connection);
        if (good && writable) good = Write(*flow);
      }
      if (good) {
        ++connection;
        continue;
      }
      close(connection->to_target.from);
      close(connection->to_caller.from);
      connection = connections_.erase(connection);
    }
    if (wanted[1].revents != 0) Accept();
  }
}

}  // namespace hookgate
