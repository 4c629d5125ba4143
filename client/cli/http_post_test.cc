#include "client/cli/http_post.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

namespace asio = boost::asio;
using ::testing::EndsWith;
using ::testing::HasSubstr;

// Takes one connection, reads as much as it is told to, answers with given bytes, and closes.
class OneAnswerServer {
 public:
  //   request_bytes  how much to read before answering
  OneAnswerServer(size_t request_bytes, std::string answer)
      : thread_([this, request_bytes, answer = std::move(answer)] {
          asio::ip::tcp::socket peer(io_);
          boost::system::error_code error;
          acceptor_.accept(peer, error);
          request_.resize(request_bytes);
          asio::read(peer, asio::buffer(request_), error);
          if (!answer.empty()) asio::write(peer, asio::buffer(answer), error);
        }) {}
  ~OneAnswerServer() {
    if (thread_.joinable()) thread_.join();
  }

  HttpUrl url() const {
    return {.host = "127.0.0.1", .port = absl::StrCat(acceptor_.local_endpoint().port())};
  }

  // What was read; waits for the end.
  std::string request() {
    thread_.join();
    return request_;
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_{
      io_, asio::ip::tcp::endpoint(asio::ip::make_address("127.0.0.1"), 0)};
  std::string request_;
  std::thread thread_;  // Last: it uses everything above.
};

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr char kStored[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRetry-After: 3\r\nContent-Length: "
    "2\r\n\r\n{}";

// The bytes that HttpPost makes of Request(): the server has to know how many come.
std::string Expected(const HttpUrl& url) {
  return absl::StrCat("POST /webhooks/openai HTTP/1.1\r\nHost: 127.0.0.1:", url.port,
                      "\r\nUser-Agent: hookgate\r\nConnection: close\r\nwebhook-id: wh_1\r\n"
                      "Content-Length: 5\r\n\r\nbody!");
}

HttpRequest Request(HttpUrl url) {
  url.path = "/webhooks/openai";
  return {.url = url, .fields = {{"webhook-id", "wh_1"}}, .body = "body!"};
}

size_t RequestBytes() {
  // Ports of ephemeral ranges have five digits.
  return Expected({.host = "127.0.0.1", .port = "12345"}).size();
}

TEST(HttpPostTest, SendsTheRequestAndReadsTheAnswer) {
  OneAnswerServer server(RequestBytes(), kStored);
  const HttpUrl url = server.url();
  const absl::StatusOr<HttpAnswer> answer = HttpPost(Request(url), kPatience);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "{}");
  EXPECT_EQ(answer->field("content-type"), "application/json");
  EXPECT_EQ(answer->field("retry-after"), "3");
  EXPECT_EQ(answer->field("x"), "");
  EXPECT_EQ(server.request(), Expected(url));
}

TEST(HttpGetTest, SendsNoBodyAndReadsTheAnswer) {
  const auto expected = [](const HttpUrl& url) {
    return absl::StrCat("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:", url.port,
                        "\r\nUser-Agent: hookgate\r\nConnection: close\r\n\r\n");
  };
  OneAnswerServer server(expected({.port = "12345"}).size(), kStored);
  HttpUrl url = server.url();
  url.path = "/readyz";
  const absl::StatusOr<HttpAnswer> answer = HttpGet({.url = url}, kPatience);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "{}");
  EXPECT_EQ(server.request(), expected(url));
}

TEST(HttpPostTest, ReturnsRefusalsAsAnswers) {
  OneAnswerServer server(RequestBytes(), "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  const absl::StatusOr<HttpAnswer> answer = HttpPost(Request(server.url()), kPatience);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 401);
}

TEST(HttpPostTest, NobodyListensIsUnavailable) {
  HttpUrl url;
  {
    OneAnswerServer server(0, "");
    url = server.url();
    (void)HttpPost(Request(url), kPatience);
  }
  const absl::Status status = HttpPost(Request(url), kPatience).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            absl::StrCat("cannot connect to 127.0.0.1:", url.port, ": Connection refused"));
}

TEST(HttpPostTest, AClosedConnectionIsUnavailable) {
  OneAnswerServer server(RequestBytes(), "");
  const absl::Status status = HttpPost(Request(server.url()), kPatience).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("closed the connection without an answer"));
}

TEST(HttpPostTest, AnAnswerThatIsCutOffIsUnavailable) {
  OneAnswerServer server(RequestBytes(), "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
  EXPECT_EQ(HttpPost(Request(server.url()), kPatience).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(HttpPostTest, WhatIsNoHttpIsInternal) {
  OneAnswerServer server(RequestBytes(), "SSH-2.0-OpenSSH_9.2\r\n\r\n");
  const absl::Status status = HttpPost(Request(server.url()), kPatience).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not an HTTP answer"));
}

TEST(HttpPostTest, AnAnswerWithoutMeasureIsInternal) {
  OneAnswerServer server(RequestBytes(), "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
  EXPECT_EQ(HttpPost(Request(server.url()), kPatience).status().code(),
            absl::StatusCode::kInternal);
}

TEST(HttpPostTest, SilenceEndsWithTheDeadline) {
  // Reads more than will ever come, so it does not answer before the client gives up.
  OneAnswerServer server(RequestBytes() + 1, "");
  const absl::Status status = HttpPost(Request(server.url()), absl::Milliseconds(50)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), EndsWith("did not answer within 50 ms"));
}

TEST(ParseHttpUrlTest, TakesHostPortAndPath) {
  const HttpUrl url = ParseHttpUrl("http://gateway.example:8080/a/b/").value();
  EXPECT_EQ(url.host, "gateway.example");
  EXPECT_EQ(url.port, "8080");
  EXPECT_EQ(url.path, "/a/b");
  EXPECT_EQ(url.ToString(), "http://gateway.example:8080/a/b");
  EXPECT_EQ(ParseHttpUrl("HTTP://h").value().ToString(), "http://h");
  EXPECT_EQ(ParseHttpUrl("http://h:80/").value().Authority(), "h");
  const HttpUrl six = ParseHttpUrl("http://[::1]:8080").value();
  EXPECT_EQ(six.host, "::1");
  EXPECT_EQ(six.ToString(), "http://[::1]:8080");
}

TEST(ParseHttpUrlTest, HttpsIsTlsWithAPortOfItsOwn) {
  const HttpUrl url = ParseHttpUrl("HTTPS://gateway.example/a").value();
  EXPECT_TRUE(url.tls);
  EXPECT_EQ(url.port, "443");
  EXPECT_EQ(url.ToString(), "https://gateway.example/a");
  EXPECT_EQ(ParseHttpUrl("https://h:80").value().ToString(), "https://h:80");
  EXPECT_FALSE(ParseHttpUrl("http://h:443").value().tls);
}

TEST(ParseHttpUrlTest, RefusesWhatIsNoUrl) {
  for (const char* text : {"",
                           "127.0.0.1:8080",
                           "ftp://h",
                           "http://",
                           "https://",
                           "https:/h",
                           "http:///path",
                           "http://:80",
                           "http://h:",
                           "http://h:0",
                           "http://h:65536",
                           "http://h:x",
                           "http://u:p@h",
                           "http://[::1",
                           "http://[]:1",
                           "http://h?x",
                           "http://h/?x",
                           "http://h/#x",
                           "http://h/a b",
                           "http://h\r\nX: y",
                           "http://h/\r\nX: y",
                           "http://h\xC3\xA4"}) {
    EXPECT_FALSE(ParseHttpUrl(text).ok()) << text;
  }
}

}  // namespace
}  // namespace hookgate::cli
