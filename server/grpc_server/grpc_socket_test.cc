#include "server/grpc_server/grpc_socket.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <utility>

#include "server/net/listener.h"
#include "server/tls/server_context.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using boost::asio::ip::tcp;
using Result = GrpcSocket::Result;

class GrpcSocketTest : public testing::Test {
 protected:
  // Both ends, with the handshake behind them.
  void SetUp() override {
    tcp::acceptor acceptor(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    client_.connect(acceptor.local_endpoint());
    client_.native_non_blocking(true);
    client_.set_option(tcp::no_delay(true));  // What is sent is there at once.
    NetSocket accepted(io_);
    acceptor.accept(accepted);
    const TestCertificate certificate = TestAuthority().Issue();
    auto made = NewServerContext({.certificate_chain = certificate.certificate,
                                  .key = certificate.key,
                                  .resumption = false});
    ASSERT_TRUE(made.ok()) << made.status();
    server_ = std::make_unique<GrpcSocket>(std::move(accepted), *std::move(made));
    client_tls_.reset(SSL_new(client_context_.get()));
    SSL_set_fd(client_tls_.get(), client_.native_handle());
    SSL_set_connect_state(client_tls_.get());
    bool client_done = false;
    Result server = Result::kWaitToRead;
    while (!client_done || server != Result::kOk) {
      if (!client_done) {
        const int returned = SSL_do_handshake(client_tls_.get());
        client_done = returned == 1;
        const int error = SSL_get_error(client_tls_.get(), returned);
        ASSERT_TRUE(client_done || error == SSL_ERROR_WANT_READ) << error;
      }
      if (server != Result::kOk) server = server_->Handshake();
      ASSERT_TRUE(server == Result::kOk || server == Result::kWaitToRead) << server_->error();
    }
  }

  Result Read() {
    size_t count = 0;
    const Result result = server_->Read(room_.data(), room_.size(), count);
    read_.assign(room_.data(), count);
    return result;
  }

  boost::asio::io_context io_;
  tcp::socket client_{io_};
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> client_context_{
      SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> client_tls_{nullptr, SSL_free};
  std::unique_ptr<GrpcSocket> server_;
  std::array<char, 1024> room_;
  std::string read_;
};

// A peer that sent updates of its keys faster than they were handled had a thread for itself.
TEST_F(GrpcSocketTest, AReadHandlesOneUpdateOfKeys) {
  constexpr int kUpdates = 100;
  for (int i = 0; i < kUpdates; ++i) {
    ASSERT_EQ(SSL_key_update(client_tls_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(client_tls_.get()), 1);
  }
  ASSERT_EQ(SSL_write(client_tls_.get(), "hello", 5), 5);
  int reads = 1;
  int seen = 0;
  Result result = Read();
  while (result == Result::kWaitToRead && reads < 10 * kUpdates) {
    if (server_->TakeKeyUpdate()) ++seen;
    ++reads;
    result = Read();
  }
  EXPECT_EQ(seen, kUpdates);
  EXPECT_FALSE(server_->TakeKeyUpdate());
  EXPECT_GE(reads, kUpdates);
  EXPECT_EQ(result, Result::kOk);
  EXPECT_EQ(read_, "hello");
}

}  // namespace
}  // namespace hookgate
