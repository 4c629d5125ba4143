#include "tests/bench/bare_http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/bench/group_commit.h"

namespace hookgate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// As long as the gateway's.
constexpr char kAnswer[] =
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: 38\r\n\r\n{\"status\":\"stored\",\"sequence\":\"12345\"}";

class Session;
using SessionPtr = std::shared_ptr<Session>;

class Session : public std::enable_shared_from_this<Session> {
 public:
  // Called once a request has been read; to be followed by Answer.
  using HasRead = std::function<void(SessionPtr)>;

  Session(tcp::socket socket, const HasRead& has_read)
      : socket_(std::move(socket)), has_read_(has_read) {}

  void Read() {
    parser_.emplace();
    http::async_read(socket_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, size_t) {
                       if (!error) self->has_read_(self);
                     });
  }

  void Answer() {
    asio::async_write(socket_, asio::buffer(kAnswer, sizeof(kAnswer) - 1),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (!error) self->Read();
                      });
  }

 private:
  tcp::socket socket_;
  const HasRead& has_read_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
};

}  // namespace

class BareHttpServer::Impl {
 public:
  Impl() : Impl([](const SessionPtr& session) { session->Answer(); }) {}
  explicit Impl(const std::string& folder)
      : Impl([this](SessionPtr session) {
          waiting_.push_back(std::move(session));
          committer_->Add();
        }) {
    committer_.emplace(
        folder, [this](size_t count) { asio::post(io_, [this, count] { AnswerFirst(count); }); });
  }
  ~Impl() {
    committer_.reset();
    io_.stop();
    thread_.join();
  }

  std::string address() const {
    return absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
  }

 private:
  explicit Impl(Session::HasRead has_read)
      : has_read_(std::move(has_read)),
        acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    Accept();
    thread_ = std::thread([this] { io_.run(); });
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(socket), has_read_)->Read();
      Accept();
    });
  }

  // All of the first `count` requests that have not been answered.
  void AnswerFirst(size_t count) {
    for (; answered_ < count; ++answered_) {
      waiting_.front()->Answer();
      waiting_.pop_front();
    }
  }

  const Session::HasRead has_read_;
  asio::io_context io_{/*concurrency_hint=*/1};
  tcp::acceptor acceptor_;
  std::optional<GroupCommitter> committer_;

  // Touched only on thread_: who waits for the committer, in the order of their entries.
  std::deque<SessionPtr> waiting_;
  size_t answered_ = 0;

  std::thread thread_;
};

BareHttpServer::BareHttpServer() : impl_(std::make_unique<Impl>()), address_(impl_->address()) {}
BareHttpServer::BareHttpServer(const std::string& folder)
    : impl_(std::make_unique<Impl>(folder)), address_(impl_->address()) {}
BareHttpServer::~BareHttpServer() = default;

}  // namespace hookgate
