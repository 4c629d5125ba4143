#include "tests/hostile/decoy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

constexpr size_t kMaxConnections = 256;
constexpr size_t kMaxBytes = 64 << 10;
constexpr int kBacklog = 1024;
constexpr int kAcceptsAtOnce = 16;

// The tool has nothing to go on with if one of these calls fails.
int Must(int result, const char* what) {
  if (result >= 0) return result;
  std::cerr << "decoy: " << what << " failed\n";
  std::abort();
}

void Watch(int epoll, int fd) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  Must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

}  // namespace

Decoy::Decoy()
    : listener_(Must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")),
      epoll_(Must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      stop_(Must(eventfd(0, EFD_CLOEXEC), "eventfd")) {
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(at);
  Must(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof(at)), "bind");
  Must(listen(listener_, kBacklog), "listen");
  Must(getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &length), "getsockname");
  address_ = absl::StrCat("127.0.0.1:", ntohs(at.sin_port));
  Watch(epoll_, listener_);
  Watch(epoll_, stop_);
  thread_ = std::thread([this] { Serve(); });
}

Decoy::~Decoy() {
  const uint64_t one = 1;
  Must(static_cast<int>(write(stop_, &one, sizeof(one))), "write");
  thread_.join();
  for (const Connection& connection : connections_) close(connection.fd);
  close(listener_);
  close(epoll_);
  close(stop_);
}

void Decoy::Serve() {
  std::array<epoll_event, 64> events;
  while (true) {
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<size_t>(i)].data.fd;
      if (fd == stop_) return;
      if (fd == listener_) {
        Accept();
        continue;
      }
      const auto found = std::find_if(connections_.begin(), connections_.end(),
                                      [fd](const Connection& one) { return one.fd == fd; });
      if (found == connections_.end() || Read(*found)) continue;
      close(fd);
      connections_.erase(found);
    }
  }
}

void Decoy::Accept() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    Watch(epoll_, fd);
    connections_.push_back({fd});
    if (connections_.size() <= kMaxConnections) continue;
    close(connections_.front().fd);
    connections_.pop_front();
  }
}

bool Decoy::Read(Connection& connection) {
  std::array<char, 16 << 10> bytes;
  const ssize_t count = read(connection.fd, bytes.data(), bytes.size());
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  connection.received += static_cast<size_t>(count);
  return count > 0 && connection.received < kMaxBytes;
}

}  // namespace hookgate
