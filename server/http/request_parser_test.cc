#include "server/http/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <memory_resource>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

namespace http = boost::beast::http;
using testing::ElementsAre;

class RequestParserTest : public testing::Test {
 protected:
  // Gives the parser `text` as it comes, in pieces of `at_once` bytes, from a buffer that is
  // written anew for each of them.
  boost::system::error_code Parse(absl::string_view text, size_t at_once = 1000) {
    parser_.eager(true);
    std::string waiting;
    boost::system::error_code error;
    for (; !text.empty() && !parser_.is_done();
         text.remove_prefix(std::min(at_once, text.size()))) {
      const std::string piece = absl::StrCat(waiting, text.substr(0, at_once));
      error = {};
      const size_t parsed = parser_.put(boost::asio::buffer(piece), error);
      if (error && error != http::error::need_more) return error;
      waiting = piece.substr(parsed);
    }
    return error;
  }

  std::vector<std::string> Fields() {
    std::vector<std::string> fields;
    for (const HttpRequestHead::Field& field : parser_.head().fields) {
      fields.push_back(absl::StrCat(field.name, "=", field.value));
    }
    return fields;
  }

  FakeClock clock_;
  BodyBudget budget_{100, clock_, /*free_bytes=*/10};
  BodyBudget::Share share_{budget_, {}, {}};
  std::byte room_[16];  // for nothing but the first piece
  std::pmr::monotonic_buffer_resource memory_{room_, sizeof(room_)};
  RequestParser parser_{&memory_, share_};
};

TEST_F(RequestParserTest, HeadIsAsTheSenderWroteItWhileTheBufferIsUsedAgain) {
  EXPECT_FALSE(
      Parse("POST /webhooks/a?b=c HTTP/1.1\r\nHost: x\r\nWebhook-ID:  w1 \r\n"
            "webhook-id: w2\r\nEmpty:\r\nContent-Length: 5\r\n\r\nhello",
            /*at_once=*/7));
  EXPECT_TRUE(parser_.is_done());
  const HttpRequestHead& head = parser_.head();
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "/webhooks/a?b=c");
  EXPECT_EQ(head.version, 11);
  EXPECT_THAT(Fields(), ElementsAre("Host=x", "Webhook-ID=w1", "webhook-id=w2",
                                    "Empty=", "Content-Length=5"));
  EXPECT_EQ(parser_.body().text(), "hello");
}

TEST_F(RequestParserTest, FieldsThatBeastKnowsAreFoundInAnyCase) {
  EXPECT_FALSE(Parse("POST / HTTP/1.0\r\nhOST: x\r\nHost: y\r\n\r\n"));
  EXPECT_EQ(parser_.head().version, 10);
  EXPECT_EQ(parser_.head().Count(http::field::host), 2u);
  EXPECT_EQ(parser_.head().ValueOf(http::field::host), "x");
  EXPECT_EQ(parser_.head().Count(http::field::expect), 0u);
  EXPECT_EQ(parser_.head().ValueOf(http::field::expect), "");
}

TEST_F(RequestParserTest, TrailerIsNoPartOfTheHead) {
  EXPECT_FALSE(
      Parse("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n2\r\nde\r\n0\r\nHost: y\r\nMore: z\r\n\r\n"));
  EXPECT_TRUE(parser_.is_done());
  EXPECT_THAT(Fields(), ElementsAre("Host=x", "Transfer-Encoding=chunked"));
  EXPECT_EQ(parser_.body().text(), "abcde");
}

TEST_F(RequestParserTest, BodyWithoutRoomIsAnError) {
  EXPECT_TRUE(Parse(absl::StrCat("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n",
                                 std::string(200, 'b'))));
  EXPECT_TRUE(parser_.body().no_room());
  EXPECT_FALSE(parser_.is_done());
}

// Beast's parser would also close for Proxy-Connection, and for what a trailer says.
TEST_F(RequestParserTest, OnlyTheHeadsConnectionFieldsCloseTheConnection) {
  const auto keeps = [this](absl::string_view head) {
    RequestParser parser(&memory_, share_);
    parser.eager(true);
    boost::system::error_code error;
    parser.put(boost::asio::buffer(head.data(), head.size()), error);
    return parser.head().KeepsConnection();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nProxy-Connection: close\r\nConnection: upgrade\r\n\r\n"));
  EXPECT_TRUE(
      keeps("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nConnection: keep-alive\r\nconnection: x, Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
  EXPECT_FALSE(keeps("GET /"));
}

}  // namespace
}  // namespace hookgate
