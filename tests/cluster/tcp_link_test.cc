// That a link cuts what it says it cuts, and nothing else.
#include "tests/cluster/tcp_link.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "tests/cluster/engine_process.h"

namespace hookgate {
namespace {

using Way = TcpLink::Way;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void Send(const std::string& text) const {
    EXPECT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // So many bytes; fewer at the end of the connection.
  std::string Read(size_t count) const {
    std::string text(count, '\0');
    const ssize_t got = recv(fd_, text.data(), count, MSG_WAITALL);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
  }
  bool HasSomething() const {
    pollfd readable = {.fd = fd_, .events = POLLIN, .revents = 0};
    return poll(&readable, 1, 0) > 0;
  }

 private:
  const int fd_;
};

class TcpLinkTest : public testing::Test {
 protected:
  TcpLinkTest() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    link_ = std::make_unique<TcpLink>(ntohs(address.sin_port));
  }
  ~TcpLinkTest() override { close(listener_); }

  std::unique_ptr<Socket> Call() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(link_->port()));
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return std::make_unique<Socket>(fd);
  }
  std::unique_ptr<Socket> TakeCall() const {
    return std::make_unique<Socket>(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
  }

  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::unique_ptr<TcpLink> link_;
};

TEST_F(TcpLinkTest, PassesBothWaysAndTheEnds) {
  auto caller = Call();
  const auto target = TakeCall();
  const std::string large(3 << 20, 'x');
  std::thread reader([&target, &large] { EXPECT_EQ(target->Read(large.size()), large); });
  caller->Send(large);
  reader.join();
  target->Send("back");
  EXPECT_EQ(caller->Read(4), "back");
  caller = nullptr;
  EXPECT_EQ(target->Read(1), "");
}

TEST_F(TcpLinkTest, WhatIsHeldComesLater) {
  const auto caller = Call();
  const auto target = TakeCall();
  caller->Send("1");
  EXPECT_EQ(target->Read(1), "1");
  link_->Set(Way::kHeld, Way::kOpen);
  caller->Send("2");
  // The other direction is not held; once this is there, the thread has been around.
  target->Send("back");
  EXPECT_EQ(caller->Read(4), "back");
  EXPECT_FALSE(target->HasSomething());
  link_->Heal();
  EXPECT_EQ(target->Read(1), "2");
}

TEST_F(TcpLinkTest, ACallDuringTheCutWaits) {
  link_->Cut();
  const auto caller = Call();  // The kernel takes it.
  caller->Send("1");
  link_->Heal();
  EXPECT_EQ(TakeCall()->Read(1), "1");
}

TEST_F(TcpLinkTest, WhatIsLostNeverComesAndTheConnectionEnds) {
  const auto caller = Call();
  const auto target = TakeCall();
  link_->Set(Way::kOpen, Way::kLost);
  caller->Send("question");
  EXPECT_EQ(target->Read(8), "question");
  target->Send("answer");
  ASSERT_TRUE(BecomesTrue([this] { return link_->lost_bytes() == 6; }));
  EXPECT_FALSE(caller->HasSomething());
  link_->Heal();
  EXPECT_EQ(caller->Read(1), "");
  EXPECT_EQ(target->Read(1), "");
}

// The clock of the link is the one that is read here, so no machine is too slow for this.
TEST_F(TcpLinkTest, WhatIsDelayedComesLaterInItsOrderAndThenTheEnd) {
  constexpr auto kDelay = std::chrono::milliseconds(50);
  auto caller = Call();
  const auto target = TakeCall();
  link_->Delay(absl::FromChrono(kDelay));
  const auto begin = std::chrono::steady_clock::now();
  caller->Send("1");
  EXPECT_EQ(target->Read(1), "1");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, kDelay);
  const std::string large(3 << 20, 'x');
  std::thread reader([&target, &large] { EXPECT_EQ(target->Read(large.size() + 1), large + "2"); });
  caller->Send(large);
  link_->Delay(absl::ZeroDuration());
  caller->Send("2");  // it overtakes nothing
  reader.join();
  link_->Delay(absl::FromChrono(kDelay));
  caller->Send("3");
  caller = nullptr;
  EXPECT_EQ(target->Read(2), "3");
}

TEST_F(TcpLinkTest, OneBitIsFlipped) {
  const auto caller = Call();
  const auto target = TakeCall();
  link_->FlipABitToCaller(100);
  target->Send("small");
  EXPECT_EQ(caller->Read(5), "small");
  const std::string large(100, 'a');
  target->Send(large);
  std::string expected = large;
  expected[100 - 64] = 'a' ^ 1;
  EXPECT_EQ(caller->Read(100), expected);
  target->Send(large);
  EXPECT_EQ(caller->Read(100), large);
  EXPECT_EQ(link_->flipped_bits(), 1);
}

TEST_F(TcpLinkTest, WhoeverNobodyListensToIsCutOff) {
  const TcpLink nowhere(FreePort());
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(nowhere.port()));
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(Socket(fd).Read(1), "");
}

}  // namespace
}  // namespace hookgate
