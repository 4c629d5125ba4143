// Peers that are slow, silent or many, over real sockets.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/grpc_server/grpc_server.h"
#include "server/grpc_server/test_service.h"
#include "server/grpc_server/test_service.pb.h"
#include "server/tls/certificate_store.h"
#include "tests/support/eventually.h"
#include "tests/support/http2_frames.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using http2::Frame;
using testing::HasSubstr;

constexpr int kPatienceMs = 30'000;
constexpr uint8_t kPing = 6;
constexpr char kRepeat[] = "/hookgate.test.TestService/Repeat";
constexpr char kChat[] = "/hookgate.test.TestService/Chat";

// The types of the frames in `bytes`, as long as they are whole.
std::string TypesIn(absl::string_view bytes) {
  std::string types;
  while (bytes.size() >= 9) {
    const auto byte = [&](size_t at) { return size_t{static_cast<uint8_t>(bytes[at])}; };
    absl::StrAppend(&types, byte(3), " ");
    const size_t size = 9 + (byte(0) << 16 | byte(1) << 8 | byte(2));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
  return types;
}

// A connection by hand.
class RawPeer {
 public:
  explicit RawPeer(const std::string& address, int receive_buffer = 0)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const size_t colon = address.rfind(':');
    sockaddr_in to = {};
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(colon + 1), &port));
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    const timeval patience = {.tv_sec = kPatienceMs / 1000, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  ~RawPeer() { Close(); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  // False once the server has closed.
  bool Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // What comes next, or "" at the end; says in end() how it ended.
  std::string Read() {
    char buffer[65536];
    pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&readable, 1, kPatienceMs), 1) << "nothing comes";
    const ssize_t count = recv(fd_, buffer, sizeof(buffer), 0);
    if (count < 0) error_ = std::strerror(errno);
    return count <= 0 ? "" : std::string(buffer, static_cast<size_t>(count));
  }
  std::string ReadToEnd() {
    std::string all;
    while (true) {
      const std::string more = Read();
      if (more.empty()) return all;
      all += more;
    }
  }
  // Until frames of these types have come one after the other.
  std::string ReadUntil(absl::string_view types) {
    std::string all;
    while (TypesIn(all).find(std::string(types)) == std::string::npos) {
      const std::string more = Read();
      if (more.empty()) return all;
      all += more;
    }
    return all;
  }
  int fd() const { return fd_; }
  // "" for an orderly end.
  const std::string& error() const { return error_; }

 private:
  int fd_;
  std::string error_;
};

// The same over TLS.
class TlsPeer {
 public:
  explicit TlsPeer(int fd) : tls_(SSL_new(context_.get()), SSL_free) {
    SSL_set_fd(tls_.get(), fd);
    EXPECT_EQ(SSL_connect(tls_.get()), 1);
  }
  void Send(absl::string_view bytes) {
    EXPECT_EQ(SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())),
              static_cast<int>(bytes.size()));
  }
  void UpdateKeys() {
    EXPECT_EQ(SSL_key_update(tls_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    EXPECT_EQ(SSL_do_handshake(tls_.get()), 1);
  }
  std::string Read() {
    char buffer[16384];
    const int count = SSL_read(tls_.get(), buffer, sizeof(buffer));
    return count <= 0 ? "" : std::string(buffer, static_cast<size_t>(count));
  }

 private:
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_client_method()),
                                                                   SSL_CTX_free};
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
};

std::string Request(const std::string& text, int count) {
  test::Message message;
  message.set_text(text);
  message.set_count(count);
  return message.SerializeAsString();
}

std::string Call(uint32_t stream, const char* method, const std::string& request,
                 const http2::Fields& more = {}) {
  return http2::CallHeader(stream, method, more) + http2::LastMessage(stream, request);
}

class GrpcConnectionTest : public testing::Test {
 protected:
  void Serve(const GrpcServerOptions& options) {
    auto server = GrpcServer::Start(options, service_.table(), SystemClock());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void ServeTls(const GrpcServerOptions& options) {
    const std::string folder = testing::TempDir();
    const TestCertificate issued = TestAuthority().Issue();
    std::ofstream(folder + "/cert.pem") << issued.certificate;
    std::ofstream(folder + "/key.pem") << issued.key;
    auto certificates =
        CertificateStore::Open({folder + "/cert.pem", folder + "/key.pem", ""}, SystemClock());
    ASSERT_TRUE(certificates.ok()) << certificates.status();
    certificates_ = *std::move(certificates);
    auto server = GrpcServer::Start(options, service_.table(), SystemClock(), certificates_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  int64_t refused(GrpcRefusal refusal) const {
    return server_->refusals()[static_cast<size_t>(refusal)];
  }

  TestService service_;
  std::unique_ptr<CertificateStore> certificates_;
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(GrpcConnectionTest, AddressesMustBeFreeAndReadable) {
  Serve({});
  EXPECT_TRUE(absl::IsUnavailable(
      GrpcServer::Start({.address = server_->address()}, service_.table(), SystemClock())
          .status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      GrpcServer::Start({.address = "nowhere"}, service_.table(), SystemClock()).status()));
}

// What a client had sent while it took nothing was read only when it sent something more, if TLS
// had taken it off the socket already.
TEST_F(GrpcConnectionTest, WhatTlsHoldsIsReadOnceThePeerTakesItsAnswers) {
  ServeTls({});
  RawPeer peer(server_->address(), 4096);
  TlsPeer tls(peer.fd());
  // A window of 1 GiB, and answers that no socket holds.
  const std::string window("\x3f\xff\x00\x00", 4);
  tls.Send(absl::StrCat(
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      Frame(http2::kSettings, 0, 0, absl::StrCat(absl::string_view("\0\4", 2), window)),
      Frame(8, 0, 0, window), Call(1, kRepeat, Request(std::string(16'000, 'x'), 1000))));
  // Until the server has to wait, most likely.
  for (int before = -1; service_.messages() != before || before == 0;) {
    before = service_.messages();
    poll(nullptr, 0, 100);
  }
  std::string pings;
  for (int i = 0; i < 200; ++i) pings += Frame(kPing, 0, 0, "12345678");
  tls.Send(pings + Frame(kPing, 0, 0, "the-last"));
  poll(nullptr, 0, 200);  // It has read what it may.
  std::string last;
  while (last.find("the-last") == std::string::npos) {
    const std::string more = tls.Read();
    ASSERT_NE(more, "") << "the last ping has no answer";
    last = last.substr(last.size() - std::min<size_t>(last.size(), 8)) + more;
  }
}

TEST_F(GrpcConnectionTest, SilentPeersAreClosed) {
  Serve({.handshake_timeout = absl::Milliseconds(50)});
  RawPeer silent(server_->address());
  EXPECT_EQ(silent.ReadToEnd(), "");
  RawPeer half(server_->address());
  half.Send("PRI * HTTP/2.0\r\n");
  half.ReadToEnd();
  EXPECT_EQ(refused(GrpcRefusal::kHandshakeTimeout), 2);
}

TEST_F(GrpcConnectionTest, HeaderBlocksHaveATime) {
  Serve({.header_timeout = absl::Milliseconds(50)});
  RawPeer peer(server_->address());
  peer.Send(http2::Preface());
  const std::string header = http2::CallHeader(1, kChat);
  peer.Send(header.substr(0, header.size() - 1));
  EXPECT_THAT(TypesIn(peer.ReadToEnd()), HasSubstr("7 "));
  EXPECT_EQ(peer.error(), "");
  EXPECT_EQ(refused(GrpcRefusal::kHeaderTimeout), 1);
}

TEST_F(GrpcConnectionTest, PeersThatTakeNoBytesAreClosed) {
  Serve({.write_timeout = absl::Milliseconds(100)});
  RawPeer peer(server_->address(), /*receive_buffer=*/4096);
  // Windows as large as they can be.
  peer.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
            Frame(http2::kSettings, 0, 0, std::string("\0\4\x7f\xff\xff\xff", 6)) +
            Frame(8, 0, 0, std::string("\x7f\xf0\0\0", 4)));
  peer.Send(Call(1, kRepeat, Request(std::string(10'000, 'x'), 100'000)));
  service_.AwaitEnd("Repeat", CallEnd::kConnectionLost);
  EXPECT_EQ(refused(GrpcRefusal::kWriteTimeout), 1);
  EXPECT_LT(service_.messages(), 10'000);
}

TEST_F(GrpcConnectionTest, PeersThatAnswerNoPingAreClosed) {
  Serve(
      {.keepalive_interval = absl::Milliseconds(50), .keepalive_timeout = absl::Milliseconds(50)});
  RawPeer peer(server_->address());
  peer.Send(http2::Preface() + Call(1, kRepeat, Request("x", -1)));
  EXPECT_THAT(TypesIn(peer.ReadToEnd()), HasSubstr("6 "));
  EXPECT_EQ(refused(GrpcRefusal::kKeepaliveTimeout), 1);
  service_.AwaitEnd("Repeat", CallEnd::kConnectionLost);
}

// A flood of pings whose answers nobody takes is read no further.
TEST_F(GrpcConnectionTest, FloodsEndTheirConnection) {
  Serve({});
  RawPeer peer(server_->address(), /*receive_buffer=*/4096);
  peer.Send(http2::Preface());
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += Frame(kPing, 0, 0, "12345678");
  int sent = 0;
  while (sent < 100 && peer.Send(pings)) ++sent;
  peer.ReadToEnd();
  EXPECT_GE(refused(GrpcRefusal::kTooManyEmptyFrames), 1);
}

// Each costs the peer a few bytes and the server a key, and none was counted.
TEST_F(GrpcConnectionTest, AFloodOfKeyUpdatesEndsItsConnection) {
  ServeTls({.empty_frames_burst = 50, .empty_frames_per_second = 1});
  RawPeer peer(server_->address());
  TlsPeer tls(peer.fd());
  for (int i = 0; i < 10; ++i) tls.UpdateKeys();
  tls.Send(http2::Preface() + Call(1, kRepeat, Request("x", 1)));
  std::string answer;
  while (TypesIn(answer).find("1 0 1 ") == std::string::npos) {
    const std::string more = tls.Read();
    ASSERT_NE(more, "");
    answer += more;
  }
  for (int i = 0; i < 100; ++i) tls.UpdateKeys();
  while (!tls.Read().empty()) {
  }
  EXPECT_EQ(refused(GrpcRefusal::kTooManyEmptyFrames), 1);
}

TEST_F(GrpcConnectionTest, OneAddressHasAShare) {
  Serve({.max_connections_per_address = 2});
  RawPeer first(server_->address());
  first.Send(http2::Preface() +
             Call(1, kRepeat, Request("x", -1), {{"authorization", "Bearer right"}}));
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() >= 1; }));
  RawPeer second(server_->address());
  // The one that has not proven who it is leaves for the next.
  RawPeer third(server_->address());
  EXPECT_EQ(second.ReadToEnd(), "");
  third.Send(http2::Preface() +
             Call(1, kRepeat, Request("x", -1), {{"authorization", "Bearer right"}}));
  ASSERT_TRUE(Eventually("both are open", [&] { return server_->open_calls() >= 2; }));
  // None of the others leaves.
  RawPeer fourth(server_->address());
  EXPECT_EQ(fourth.ReadToEnd(), "");
  EXPECT_EQ(server_->open_calls(), 2);
  EXPECT_EQ(refused(GrpcRefusal::kTooManyConnections), 2);
}

TEST_F(GrpcConnectionTest, StrangersLeaveForStrangers) {
  Serve({.max_unidentified_connections = 2});
  RawPeer known(server_->address());
  known.Send(http2::Preface() +
             Call(1, kRepeat, Request("x", -1), {{"authorization", "Bearer right"}}));
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() >= 1; }));
  RawPeer first(server_->address());
  RawPeer second(server_->address());
  RawPeer third(server_->address());  // It waits until the first has had its second.
  EXPECT_EQ(first.ReadToEnd(), "");
  third.Send(http2::Preface() + Call(1, kRepeat, Request("x", 1)));
  EXPECT_THAT(TypesIn(third.ReadUntil("1 0 1 ")), HasSubstr("1 0 1 "));
  EXPECT_EQ(server_->open_calls(), 1);
}

// libgrpc's listener never accepted again after this.
TEST_F(GrpcConnectionTest, AServerWithoutDescriptorsRecovers) {
  Serve({});
  rlimit before = {};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = 64;
  setrlimit(RLIMIT_NOFILE, &few);
  RawPeer peer(server_->address());
  RawPeer waiting(server_->address());
  std::vector<int> taken;
  while (true) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0) break;
    taken.push_back(fd);
  }
  // It may have been accepted before the last descriptor was gone; the next ones are not.
  for (const int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
  for (RawPeer* one : {&peer, &waiting}) {
    one->Send(http2::Preface() + Call(1, kRepeat, Request("x", 1)));
    EXPECT_NE(one->Read(), "");
  }
}

// A status that is followed by the end of the connection: what the peer still sends must not have
// it reset, or the status is lost.
TEST_F(GrpcConnectionTest, TheLastBytesReachThePeer) {
  Serve({});
  RawPeer peer(server_->address());
  peer.Send(http2::Preface() + http2::CallHeader(1, kChat));
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() >= 1; }));
  std::thread drain([&] { server_->Drain(absl::ZeroDuration()); });
  std::string got = peer.ReadUntil("7 ");
  for (int i = 0; i < 50; ++i) {
    if (!peer.Send(Frame(http2::kData, 0, 1, std::string(1000, 'x')))) break;
  }
  got += peer.ReadToEnd();
  EXPECT_THAT(TypesIn(got), HasSubstr("1 "));
  EXPECT_THAT(TypesIn(got), HasSubstr("7 "));
  peer.Close();
  drain.join();
}

// Strangers must not delay a drain: neither by a request that is not whole, nor by keeping silent.
TEST_F(GrpcConnectionTest, StrangersDoNotDelayADrain) {
  Serve({.handshake_timeout = absl::Hours(1), .message_timeout = absl::Hours(1)});
  RawPeer silent(server_->address());
  RawPeer preface(server_->address());
  preface.Send(http2::Preface());
  RawPeer half(server_->address());
  half.Send(http2::Preface() + http2::CallHeader(1, kRepeat));
  RawPeer upload(server_->address());
  upload.Send(http2::Preface() +
              http2::CallHeader(1, kRepeat, {{"authorization", "Bearer wrong"}}));
  RawPeer header(server_->address());
  header.Send(http2::Preface() + http2::CallHeader(1, kRepeat).substr(0, 30));
  ASSERT_TRUE(Eventually("the call is open", [&] { return server_->open_calls() >= 1; }));
  EXPECT_TRUE(server_->Drain(absl::Hours(1)));
}

}  // namespace
}  // namespace hookgate
