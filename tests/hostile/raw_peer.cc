#include "tests/hostile/raw_peer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "tests/support/http2_frames.h"

namespace hookgate {
namespace {

constexpr size_t kBytesInTurn = 100 << 10;
constexpr size_t kHeadBytes = 9;
constexpr size_t kKeptOfPayload = 8;

// -1, and the test has failed, if there is no such address or descriptor.
int BeginToConnect(const RawPeer::Options& options) {
  const auto address_of = [](const std::string& host, int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1) << host;
    return address;
  };
  const std::pair<std::string, std::string> host_port = absl::StrSplit(options.address, ':');
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(host_port.second, &port)) << options.address;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  EXPECT_GE(fd, 0) << std::strerror(errno);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // Ports are found when it connects, for each peer of its own.
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  if (options.receive_buffer > 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof(int));
  }
  const sockaddr_in from = address_of(options.from, 0);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof(from)), 0)
      << options.from << ": " << std::strerror(errno);
  const sockaddr_in to = address_of(host_port.first, port);
  // How it went is seen later, and a failure is a connection that has ended.
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  return fd;
}

ssl_ctx_st* ClientContext() {
  static ssl_ctx_st* const context = [] {
    // OpenSSL writes without MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    ssl_ctx_st* const made = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                               SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_protos(made, reinterpret_cast<const unsigned char*>("\x02h2"), 3);
    return made;
  }();
  return context;
}

}  // namespace

RawPeer::RawPeer(const Options& options) : fd_(BeginToConnect(options)) {
  ended_ = fd_ < 0;
  if (!options.tls) return;
  ssl_ = SSL_new(ClientContext());
  if (options.max_tls_version != 0) SSL_set_max_proto_version(ssl_, options.max_tls_version);
  SSL_set_fd(ssl_, fd_);
  SSL_set_connect_state(ssl_);
}

RawPeer::~RawPeer() {
  SSL_free(ssl_);
  if (fd_ >= 0) close(fd_);
}

void RawPeer::Pump(bool reads) {
  if (!FinishConnecting()) return;
  const int64_t before = sent_bytes_;
  while (!ended_ && unsent_begin_ < unsent_.size() &&
         sent_bytes_ < before + static_cast<int64_t>(kBytesInTurn) && Write()) {
  }
  if (unsent_begin_ == unsent_.size()) {
    unsent_.clear();
    unsent_begin_ = 0;
  }
  if (reads) Read(kBytesInTurn);
}

void RawPeer::Read(size_t max_bytes) {
  if (!FinishConnecting()) return;
  char bytes[16 << 10];
  while (max_bytes > 0) {
    const size_t count = ReadOnce(bytes, std::min(sizeof(bytes), max_bytes));
    if (count == 0) return;
    max_bytes -= count;
    received_bytes_ += static_cast<int64_t>(count);
    ParseFrames({bytes, count});
  }
}

int16_t RawPeer::Events(bool reads) const {
  const bool writes = !connected_ ? !socket_connected_ || wants_write_
                                  : wants_write_ || unsent_begin_ < unsent_.size();
  const bool receives = socket_connected_ && (reads || !connected_);
  return static_cast<int16_t>((writes ? POLLOUT : 0) | (receives ? POLLIN : 0));
}

int64_t RawPeer::frames(uint8_t type) const {
  const auto found = frames_.find(type);
  return found == frames_.end() ? 0 : found->second;
}

int64_t RawPeer::resets(uint32_t code) const {
  const auto found = resets_.find(code);
  return found == resets_.end() ? 0 : found->second;
}

int64_t RawPeer::granted(uint32_t stream) const {
  const auto found = granted_.find(stream);
  return found == granted_.end() ? 0 : found->second;
}

bool RawPeer::FinishConnecting() {
  if (ended_ || connected_) return !ended_;
  if (!socket_connected_) {
    pollfd writable = {.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&writable, 1, 0) != 1) return false;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    ended_ = error != 0;
    if (ended_) return false;
    socket_connected_ = true;
  }
  if (ssl_ != nullptr) {
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) {
      MayRetry(result);
      return false;
    }
    wants_write_ = false;
  }
  connected_ = true;
  return true;
}

bool RawPeer::Write() {
  const char* const bytes = unsent_.data() + unsent_begin_;
  const size_t size = std::min(unsent_.size() - unsent_begin_, kBytesInTurn);
  ssize_t sent = 0;
  if (ssl_ == nullptr) {
    sent = send(fd_, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) {
      ended_ = sent < 0 && errno != EAGAIN && errno != EINTR;
      return false;
    }
  } else {
    sent = SSL_write(ssl_, bytes, static_cast<int>(size));
    if (sent <= 0) {
      MayRetry(static_cast<int>(sent));
      return false;
    }
    wants_write_ = false;
  }
  unsent_begin_ += static_cast<size_t>(sent);
  sent_bytes_ += sent;
  return true;
}

size_t RawPeer::ReadOnce(char* bytes, size_t size) {
  if (ended_) return 0;
  if (ssl_ == nullptr) {
    const ssize_t count = recv(fd_, bytes, size, 0);
    if (count > 0) return static_cast<size_t>(count);
    ended_ = count == 0 || (errno != EAGAIN && errno != EINTR);
    return 0;
  }
  const int count = SSL_read(ssl_, bytes, static_cast<int>(size));
  if (count > 0) return static_cast<size_t>(count);
  MayRetry(count);
  return 0;
}

bool RawPeer::MayRetry(int result) {
  const int error = SSL_get_error(ssl_, result);
  wants_write_ = error == SSL_ERROR_WANT_WRITE;
  ended_ = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
  return !ended_;
}

void RawPeer::ParseFrames(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (head_.size() < kHeadBytes) {
      const absl::string_view more = bytes.substr(0, kHeadBytes - head_.size());
      head_.append(more.data(), more.size());
      bytes.remove_prefix(more.size());
      if (head_.size() < kHeadBytes) return;
      const auto byte = [this](size_t at) { return static_cast<uint8_t>(head_[at]); };
      left_ = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
      payload_.clear();
    }
    const absl::string_view more = bytes.substr(0, left_);
    payload_.append(more.data(), std::min(more.size(), kKeptOfPayload - payload_.size()));
    bytes.remove_prefix(more.size());
    left_ -= more.size();
    if (left_ > 0) return;
    OnFrame();
    head_.clear();
  }
}

void RawPeer::OnFrame() {
  const auto number = [](const std::string& bytes, size_t at) {
    uint32_t value = 0;
    for (size_t i = at; i < at + 4 && i < bytes.size(); ++i) {
      value = value << 8 | static_cast<uint8_t>(bytes[i]);
    }
    return value;
  };
  const auto type = static_cast<uint8_t>(head_[3]);
  ++frames_[type];
  if (type == http2::kRstStream) ++resets_[number(payload_, 0)];
  if (type == http2::kWindowUpdate) granted_[number(head_, 5)] += number(payload_, 0);
  if (type == http2::kGoAway) go_away_ = number(payload_, 4);
}

}  // namespace hookgate
