// What goes over real loopback connections, right and wrong.

#include "server/http/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "common/clock.h"
#include "server/http/problem.h"
#include "server/tls/certificate_store.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http_client.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kShort = absl::Milliseconds(50);

// The wall clock of a test beside the machine's monotonic one, by which connections time out.
class TestClock final : public Clock {
 public:
  absl::Time WallNow() const override { return wall_.WallNow(); }
  absl::Duration MonotonicNow() const override { return SystemClock().MonotonicNow(); }
  void SetWall(absl::Time wall) { wall_.SetWall(wall); }

 private:
  FakeClock wall_;
};

struct Handled {
  std::string line;                           // "POST /path body"
  std::map<std::string, std::string> fields;  // names in lower case
  absl::Time receive_time;
  std::string peer;
};

// Answers with what it was asked. Some targets are special:
//   /refused  refused by its head
//   /later    not answered until the test takes the Respond
//   /drop     never answered
//   /large    with 64 MiB; /large-refusal the same with 401
class TestHandler final : public HttpHandler {
 public:
  absl::optional<HttpResponse> CheckHead(const HttpHead& head) override {
    if (head.target() != "/refused") return absl::nullopt;
    HttpResponse response;
    response.status = 403;
    response.body = "refused";
    return response;
  }

  void Handle(const HttpHead& head, std::string body, absl::Time receive_time,
              Respond respond) override {
    Handled handled;
    handled.line = absl::StrCat(head.method(), " ", head.target(), " ", body);
    handled.peer = std::string(head.peer());
    handled.receive_time = receive_time;
    head.ForEachField([&](absl::string_view name, absl::string_view value) {
      handled.fields[absl::AsciiStrToLower(name)] += std::string(value);
    });
    HttpResponse response;
    response.body = handled.line;
    response.fields.emplace_back("X-Test", "yes");
    if (absl::StartsWith(head.target(), "/large")) response.body = std::string(64 << 20, 'x');
    if (head.target() == "/large-refusal") response.status = 401;
    {
      absl::MutexLock lock(&mu_);
      handled_.push_back(std::move(handled));
      if (head.target() == "/later") {
        owed_.push_back(std::move(respond));
        return;
      }
    }
    if (head.target() == "/drop") return;
    std::move(respond)(std::move(response));
  }

  HttpResponse Refuse(HttpRefusal refusal, absl::string_view detail, const HttpHead&) override {
    return ToHttpResponse(RefusalError(refusal, detail));
  }

  // The oldest Respond of /later that was not taken yet; waits until there is one.
  Respond TakeOwed() {
    const auto any = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !owed_.empty(); };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&any));
    Respond respond = std::move(owed_.front());
    owed_.erase(owed_.begin());
    return respond;
  }
  std::vector<Handled> handled() const {
    absl::MutexLock lock(&mu_);
    return handled_;
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    for (const Handled& request : handled()) lines.push_back(request.line);
    return lines;
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<Handled> handled_ ABSL_GUARDED_BY(mu_);
  std::vector<Respond> owed_ ABSL_GUARDED_BY(mu_);
};

HttpResponse Text(absl::string_view text) {
  HttpResponse response;
  response.body = std::string(text);
  return response;
}

std::string Get(absl::string_view target) {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: test\r\n\r\n");
}

std::string Post(absl::string_view target, absl::string_view body) {
  return absl::StrCat("POST ", target, " HTTP/1.1\r\nHost: test\r\nContent-Length: ", body.size(),
                      "\r\n\r\n", body);
}

std::string Chunked(absl::string_view chunks, absl::string_view more_fields = "") {
  return absl::StrCat("POST /c HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n",
                      more_fields, "\r\n", chunks);
}

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(const HttpServerOptions& options, const CertificateStore* certificates = nullptr) {
    server_.reset();
    auto server = HttpServer::Start(options, handler_, clock_, certificates);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // The connection must be answered with `status` and `code`, and end.
  void ExpectRefused(HttpClient& client, int status, absl::string_view code) {
    const auto reply = client.ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, status);
    EXPECT_THAT(reply->body, HasSubstr(absl::StrCat("\"code\":\"", code, "\"")));
    EXPECT_EQ(reply->field("connection"), "close");
    EXPECT_TRUE(client.AtEnd());
  }

  TestClock clock_;
  TestHandler handler_;
  std::unique_ptr<HttpServer> server_;
};

// --- Requests and answers ---------------------------------------------------------------------

TEST_F(HttpServerTest, AnswerHasTheServersFieldsAndTheHandlers) {
  const auto reply = Exchange(server_->address(), Post("/a?b=c", "body"));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "POST /a?b=c body");
  EXPECT_EQ(reply->field("date"), "Sun, 15 Jun 2025 15:06:40 GMT");
  EXPECT_EQ(reply->field("content-type"), "application/json");
  EXPECT_EQ(reply->field("content-length"), "16");
  EXPECT_EQ(reply->field("x-test"), "yes");
  EXPECT_EQ(reply->field("connection"), "");
  EXPECT_EQ(handler_.handled().at(0).receive_time, clock_.WallNow());
}

// The date was once missing when the clock stood at the second that the cache began with.
TEST_F(HttpServerTest, DateIsThereAtTheUnixEpoch) {
  clock_.SetWall(absl::UnixEpoch());
  EXPECT_EQ(Exchange(server_->address(), Get("/"))->field("date"), "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_F(HttpServerTest, ConnectionTakesOneRequestAfterTheOther) {
  HttpClient client(server_->address());
  for (const char* body : {"1", "", "three"}) {
    client.Send(Post("/", body));
    EXPECT_EQ(client.ReadReply()->body, absl::StrCat("POST / ", body));
  }
}

TEST_F(HttpServerTest, ConnectionCloseIsHeard) {
  HttpClient client(server_->address());
  client.Send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.ReadReply()->field("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  HttpClient client(server_->address());
  client.Send(absl::StrCat(Get("/later"), Post("/2", "b"), Get("/3")));
  std::move(handler_.TakeOwed())(Text("1"));
  EXPECT_EQ(client.ReadReply()->body, "1");
  EXPECT_EQ(client.ReadReply()->body, "POST /2 b");
  EXPECT_EQ(client.ReadReply()->body, "GET /3 ");
}

TEST_F(HttpServerTest, RequestMayComeByteByByte) {
  HttpClient client(server_->address());
  for (char byte : Post("/", "slow")) client.Send(absl::string_view(&byte, 1));
  EXPECT_EQ(client.ReadReply()->body, "POST / slow");
}

TEST_F(HttpServerTest, ChunksAreJoined) {
  HttpClient client(server_->address());
  client.Send(Chunked("3\r\nabc\r\n5;name=\"value\"\r\ndefgh\r\n0\r\n\r\n"));
  EXPECT_EQ(client.ReadReply()->body, "POST /c abcdefgh");
  client.Send(Get("/next"));
  EXPECT_EQ(client.ReadReply()->body, "GET /next ");
}

// Beast adds trailer fields to those of the head; a proxy in front has not looked at them.
TEST_F(HttpServerTest, TrailerFieldsAreNotTakenForHeaderFields) {
  const auto reply = Exchange(server_->address(), Chunked("1\r\na\r\n0\r\nX-Late: 1\r\n\r\n"));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(handler_.handled().at(0).fields.count("x-late"), 0u);
  EXPECT_EQ(handler_.handled().at(0).fields.count("host"), 1u);
}

TEST_F(HttpServerTest, ExpectedContinueIsSentBeforeTheBodyIs) {
  HttpClient client(server_->address());
  client.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-Continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadHead()->status, 100);
  client.Send("body");
  EXPECT_EQ(client.ReadReply()->body, "POST / body");
}

TEST_F(HttpServerTest, RefusedHeadGetsItsAnswerInsteadOfContinue) {
  HttpClient client(server_->address());
  client.Send(
      "POST /refused HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadReply()->status, 403);
  EXPECT_TRUE(client.AtEnd());
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

// RFC 9110, section 10.1.1: a client of HTTP/1.0 would take the 100 for its answer.
TEST_F(HttpServerTest, ContinueIsNotSentToHttp10) {
  HttpClient client(server_->address());
  client.Send("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody");
  EXPECT_EQ(client.ReadReply()->body, "POST / body");
}

TEST_F(HttpServerTest, HeadIsAnsweredWithoutBody) {
  HttpClient client(server_->address());
  client.Send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
  const auto reply = client.ReadHead();
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->field("content-length"), "7");
  client.Send(Get("/next"));
  EXPECT_EQ(client.ReadReply()->body, "GET /next ");
}

// The refusal after a HEAD once announced a body and did not send it.
TEST_F(HttpServerTest, RefusalAfterHeadHasItsBody) {
  HttpClient client(server_->address());
  client.Send("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_TRUE(client.ReadHead().has_value());
  client.Send("garbage\r\n\r\n");
  ExpectRefused(client, 400, "malformed_request");
}

// Kept connections were once not announced to HTTP/1.0, so that its clients waited for the end.
TEST_F(HttpServerTest, Http10IsAnsweredAndClosed) {
  for (const char* fields : {"", "Connection: keep-alive\r\n"}) {
    HttpClient client(server_->address());
    client.Send(absl::StrCat("GET / HTTP/1.0\r\n", fields, "\r\n"));
    const auto reply = client.ReadReply();
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->field("connection"), "close");
    EXPECT_TRUE(client.AtEnd());
  }
}

TEST_F(HttpServerTest, SenderThatHalfClosesStillGetsItsAnswer) {
  HttpClient client(server_->address());
  client.Send(Post("/later", "body"));
  client.FinishSending();
  std::move(handler_.TakeOwed())(Text("late"));
  EXPECT_EQ(client.ReadReply()->body, "late");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, SenderThatVanishesInTheMiddleIsForgotten) {
  for (const char* part :
       {"POST / HT", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf"}) {
    HttpClient client(server_->address());
    client.Send(part);
    client.FinishSending();
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

TEST_F(HttpServerTest, AnswerMayComeFromAnotherThread) {
  HttpClient client(server_->address());
  client.Send(Get("/later"));
  std::thread other([respond = handler_.TakeOwed()]() mutable { std::move(respond)(Text("a")); });
  EXPECT_EQ(client.ReadReply()->body, "a");
  other.join();
  client.Send(Get("/next"));
  EXPECT_EQ(client.ReadReply()->body, "GET /next ");
}

TEST_F(HttpServerTest, HandlerThatDropsRespondClosesTheConnection) {
  HttpClient client(server_->address());
  client.Send(Get("/drop"));
  EXPECT_TRUE(client.AtEnd());
  HttpClient later(server_->address());
  later.Send(Get("/later"));
  handler_.TakeOwed() = {};
  EXPECT_TRUE(later.AtEnd());
}

// --- Refusals ---------------------------------------------------------------------------------

TEST_F(HttpServerTest, WhatIsNoHttpIsAnsweredAndClosed) {
  const std::string requests[] = {
      "garbage\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),  // TLS
      "GET / HTTP/1.2\r\n\r\n",
      "GET / HTTP/2.0\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "GET /\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\nname : value\r\n\r\n",
      std::string("GET / HTTP/1.1\r\na: \0\r\n\r\n", 24),
  };
  for (const std::string& request : requests) {
    SCOPED_TRACE(request);
    HttpClient client(server_->address());
    client.Send(request);
    ExpectRefused(client, 400, "malformed_request");
  }
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

// Whoever reads another length than the proxy in front takes the end of one request for the
// beginning of the next. The last three were once taken: an encoding that Beast does not know, it
// passes over.
TEST_F(HttpServerTest, RequestOfDoubtfulLengthIsAnsweredAndClosed) {
  constexpr char kChunked[] = "Transfer-Encoding: chunked\r\n";
  const std::string fields[] = {
      absl::StrCat("Content-Length: 5\r\n", kChunked),
      absl::StrCat(kChunked, "Content-Length: 5\r\n"),
      absl::StrCat(kChunked, kChunked),
      "Content-Length: 5\r\nContent-Length: 6\r\n",
      "Content-Length: 5, 6\r\n",
      "Content-Length: five\r\n",
      "Content-Length: +5\r\n",
      "Content-Length: -5\r\n",
      "Content-Length: 0x5\r\n",
      "Content-Length: 5 5\r\n",
      "Content-Length:\r\n",
      "Content-Length: 18446744073709551621\r\n",  // 2^64 + 5
      "Content-Length : 5\r\n",
      "Transfer-Encoding : chunked\r\n",
      "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
      "Transfer-Encoding: chunked, identity\r\n",
      "Transfer-Encoding: gzip, chunked\r\n",
  };
  for (const std::string& field : fields) {
    SCOPED_TRACE(field);
    HttpClient client(server_->address());
    client.Send(
        absl::StrCat("POST / HTTP/1.1\r\nHost: t\r\n", field, "\r\n0\r\n\r\n", Get("/smuggled")));
    ExpectRefused(client, 400, "malformed_request");
  }
  HttpClient old(server_->address());
  old.Send(absl::StrCat("POST / HTTP/1.0\r\n", kChunked, "\r\n0\r\n\r\n", Get("/smuggled")));
  ExpectRefused(old, 400, "malformed_request");
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

// Which server a request is for, a proxy in front may have read otherwise.
TEST_F(HttpServerTest, RequestOfDoubtfulHostIsAnsweredAndClosed) {
  for (const char* fields :
       {"", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "Host: a b\r\n", "Host: a, b\r\n",
        "Host: a/b\r\n", "Host: user@a\r\n", "Host: \x80\r\n"}) {
    SCOPED_TRACE(fields);
    HttpClient client(server_->address());
    client.Send(absl::StrCat("GET / HTTP/1.1\r\n", fields, "\r\n", Get("/smuggled")));
    ExpectRefused(client, 400, "malformed_request");
  }
  HttpClient old(server_->address());
  old.Send("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n");
  ExpectRefused(old, 400, "malformed_request");
  EXPECT_THAT(handler_.lines(), IsEmpty());
  for (const char* host :
       {"", "a.example", "A-b_c:80", "[::1]:8080", "192.0.2.1", "xn--e1afmkfd"}) {
    EXPECT_EQ(
        Exchange(server_->address(), absl::StrCat("GET / HTTP/1.1\r\nHost: ", host, "\r\n\r\n"))
            ->status,
        200)
        << host;
  }
}

// Beast takes a folded line for one with blanks; a proxy that passes it on may take it for two.
TEST_F(HttpServerTest, FoldedLineIsAnsweredAndClosedInWhateverPiecesItComes) {
  Start({.threads = 1});
  for (const char* fields : {"Transfer-Encoding:\r\n chunked\r\n", "Content-Length:\r\n\t5\r\n",
                             "Content-Length: 5\r\n \r\n", "X: a\r\n b\r\n",
                             "X: a\r\n\tContent-Length: 5\r\n", " X: a\r\n"}) {
    for (const bool in_pieces : {false, true}) {
      SCOPED_TRACE(absl::StrCat(fields, in_pieces));
      HttpClient client(server_->address());
      for (const absl::string_view line : absl::StrSplit(
               absl::StrCat("POST / HTTP/1.1\r\nHost: t\r\n", fields, "\r\n0\r\n\r\n"), '\n')) {
        client.Send(absl::StrCat(line, "\n"));
        // So that it comes by itself.
        if (!in_pieces) continue;
        ASSERT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
      }
      ExpectRefused(client, 400, "malformed_request");
    }
  }
}

TEST_F(HttpServerTest, EmptyLinesBeforeARequestArePassedOver) {
  HttpClient client(server_->address());
  client.Send(absl::StrCat("\r\n\r\n", Post("/", "1"), "\r\n", Get("/2")));
  EXPECT_EQ(client.ReadReply()->body, "POST / 1");
  EXPECT_EQ(client.ReadReply()->body, "GET /2 ");
  for (char byte : absl::StrCat("\r\n", Get("/3"))) client.Send(absl::string_view(&byte, 1));
  EXPECT_EQ(client.ReadReply()->body, "GET /3 ");
  for (const char* begin : {"\n", "\r\r\n", " \r\n"}) {
    HttpClient bad(server_->address());
    bad.Send(absl::StrCat(begin, Get("/")));
    ExpectRefused(bad, 400, "malformed_request");
  }
}

// An empty line is not the beginning of a request: the connection still rests.
TEST_F(HttpServerTest, EmptyLinesDoNotKeepAConnectionOpen) {
  Start({.header_timeout = kShort});
  HttpClient client(server_->address());
  client.Send("\r\n\r");
  EXPECT_TRUE(client.AtEnd());
  Start({.max_header_bytes = 1000});
  std::string lines;
  for (int i = 0; i < 600; ++i) lines += "\r\n";
  HttpClient endless(server_->address());
  endless.Send(lines);
  ExpectRefused(endless, 431, "header_too_large");
}

TEST_F(HttpServerTest, AbsoluteFormIsTakenForItsPath) {
  const std::map<std::string, std::string> paths = {
      {"http://gateway.example/a?b=c", "/a?b=c"},
      {"HTTPS://gateway.example:8443/a", "/a"},
      {"http://[::1]:80/", "/"},
      {"http://gateway.example", "/"},
      {"http:///a", "http:///a"},
      {"ftp://gateway.example/a", "ftp://gateway.example/a"},
      {"/http://gateway.example/a", "/http://gateway.example/a"},
  };
  for (const auto& [target, path] : paths) {
    EXPECT_EQ(Exchange(server_->address(), Get(target))->body, absl::StrCat("GET ", path, " "));
  }
}

TEST_F(HttpServerTest, BadChunkIsAnsweredAndClosed) {
  const std::string bodies[] = {
      "x\r\na\r\n0\r\n\r\n",                       // no number
      "-1\r\na\r\n0\r\n\r\n",                      //
      "10000000000000001\r\na\r\n0\r\n\r\n",       // 2^64 + 1
      "1\r\nab\r\n0\r\n\r\n",                      // longer than it says
      "1\na\n0\n\n\r\n",                           // bare line feeds
      "1;\x01\r\na\r\n0\r\n\r\n",                  // bad extension
      "1\r\na\r\n0\r\nContent-Length: 3\r\n\r\n",  // a length in the trailer
      "1\r\na\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
  };
  for (const std::string& body : bodies) {
    SCOPED_TRACE(body);
    HttpClient client(server_->address());
    client.Send(absl::StrCat(Chunked(body), Get("/smuggled")));
    ExpectRefused(client, 400, "malformed_request");
  }
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

// A chunk's extension or a trailer without an end once filled the memory until the body timed out.
TEST_F(HttpServerTest, EndlessChunkExtensionOrTrailerIsAnsweredAndClosed) {
  const std::string endless(512 << 10, 'a');
  for (const char* begin : {"1;", "1\r\na\r\n0\r\n"}) {
    HttpClient client(server_->address());
    client.Send(absl::StrCat(Chunked(begin), endless));
    ExpectRefused(client, 400, "malformed_request");
  }
}

TEST_F(HttpServerTest, HeaderAboveTheLimitIsRefused) {
  Start({.max_header_bytes = 1000});
  const auto request = [](size_t bytes) {
    constexpr absl::string_view kBegin = "GET / HTTP/1.1\r\nHost: test\r\nX: ";
    constexpr absl::string_view kEnd = "\r\n\r\n";
    return absl::StrCat(kBegin, std::string(bytes - kBegin.size() - kEnd.size(), 'x'), kEnd);
  };
  EXPECT_EQ(Exchange(server_->address(), request(1000))->status, 200);
  for (size_t bytes : {1001, 5000, 100'000}) {
    HttpClient client(server_->address());
    client.Send(request(bytes));
    ExpectRefused(client, 431, "header_too_large");
  }
  HttpClient endless_line(server_->address());
  endless_line.Send(absl::StrCat("GET /", std::string(2000, 'x')));
  ExpectRefused(endless_line, 431, "header_too_large");
}

TEST_F(HttpServerTest, HeaderMayFillTheLimitWithOneValue) {
  const auto with_value = [](size_t bytes) {
    return absl::StrCat("GET / HTTP/1.1\r\nHost: test\r\nX-Long: ", std::string(bytes, 'v'),
                        "\r\n\r\n");
  };
  HttpClient client(server_->address());
  client.Send(with_value(65'000));
  EXPECT_EQ(client.ReadReply()->status, 200);
  ASSERT_EQ(handler_.handled().size(), 1u);
  EXPECT_EQ(handler_.handled()[0].fields.at("x-long"), std::string(65'000, 'v'));
  // On a connection that has had a long one before.
  client.Send(with_value(64 << 10));
  ExpectRefused(client, 431, "header_too_large");
}

// A fuzzer found that fields which came one by one were each measured by themselves: a stranger
// could have made the gateway hold as much as he could send before the time-out.
TEST_F(HttpServerTest, HeaderAboveTheLimitIsRefusedInWhateverPiecesItComes) {
  Start({.threads = 1, .max_header_bytes = 1000});
  HttpClient client(server_->address());
  client.Send("GET / HTTP/1.1\r\n");
  const std::string field = absl::StrCat("X: ", std::string(95, 'x'), "\r\n");
  for (int i = 0; i < 9; ++i) {
    client.Send(field);
    // So that it comes by itself: the one thread has read it before it answers another connection.
    ASSERT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
  }
  client.Send(absl::StrCat(field, "\r\n"));
  ExpectRefused(client, 431, "header_too_large");
}

TEST_F(HttpServerTest, BodyAboveTheLimitIsRefused) {
  Start({.max_body_bytes = 8});
  EXPECT_EQ(Exchange(server_->address(), Post("/", "12345678"))->status, 200);
  EXPECT_EQ(Exchange(server_->address(), Chunked("4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n"))->status,
            200);

  HttpClient announced(server_->address());
  // Before it is there: nothing of the body is sent, nor asked for.
  announced.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  const auto reply = announced.ReadReply();
  EXPECT_EQ(reply->status, 413);
  EXPECT_THAT(reply->body, HasSubstr("larger than 8 bytes"));

  HttpClient chunked(server_->address());
  chunked.Send(Chunked("4\r\n1234\r\n5\r\n"));
  ExpectRefused(chunked, 413, "body_too_large");
  EXPECT_EQ(handler_.lines().size(), 2u);
}

// Closing a connection with unread bytes resets it, and a reset can overtake the answer.
TEST_F(HttpServerTest, AnswerArrivesAlthoughTheRefusedBodyIsStillBeingSent) {
  Start({.max_body_bytes = 16 << 20});
  const std::string body(8 << 20, 'x');
  HttpClient refused(server_->address());
  EXPECT_TRUE(refused.Send(Post("/refused", body)));
  EXPECT_EQ(refused.ReadReply()->status, 403);
  EXPECT_TRUE(refused.AtEnd());

  HttpClient too_large(server_->address());
  EXPECT_TRUE(too_large.Send(Post("/", body + body + body)));
  ExpectRefused(too_large, 413, "body_too_large");
  EXPECT_THAT(handler_.lines(), IsEmpty());
}

// Mute connections once closed the port until they timed out: a place was held by doing nothing.
TEST_F(HttpServerTest, WhenFullTheLongestIdleConnectionMakesRoom) {
  Start({.threads = 1, .max_connections = 3});
  HttpClient proven(server_->address());
  proven.Send(Get("/1"));
  EXPECT_EQ(proven.ReadReply()->status, 200);
  HttpClient silent(server_->address());
  HttpClient resting(server_->address());
  resting.Send(Get("/"));
  EXPECT_EQ(resting.ReadReply()->status, 200);

  EXPECT_EQ(Exchange(server_->address(), Get("/2"))->status, 200);
  EXPECT_TRUE(silent.AtEnd());
  proven.Send(Get("/3"));
  EXPECT_EQ(proven.ReadReply()->status, 200);
  HttpClient fourth(server_->address());
  fourth.Send(Get("/4"));
  EXPECT_EQ(fourth.ReadReply()->status, 200);
  HttpClient fifth(server_->address());
  fifth.Send(Get("/5"));
  EXPECT_EQ(fifth.ReadReply()->status, 200);
}

TEST_F(HttpServerTest, HalfSentRequestsMakeRoomWhenNothingIsIdle) {
  Start({.threads = 1, .max_connections = 2});
  HttpClient half_head(server_->address());
  half_head.Send("GET / HT");
  HttpClient half_body(server_->address());
  half_body.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(half_body.ReadHead()->status, 100);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
  EXPECT_TRUE(half_head.AtEnd());
}

TEST_F(HttpServerTest, ConnectionsAboveTheLimitAreRefusedWhileAllAreAtWork) {
  Start({.threads = 1, .max_connections = 1});
  auto first = std::make_unique<HttpClient>(server_->address());
  first->Send(Get("/later"));
  HttpHandler::Respond respond = handler_.TakeOwed();
  HttpClient second(server_->address());
  ExpectRefused(second, 503, "too_many_connections");
  std::move(respond)(Text("late"));
  EXPECT_EQ(first->ReadReply()->body, "late");
  EXPECT_EQ(Exchange(server_->address(), Get("/3"))->status, 200);
}

TEST_F(HttpServerTest, AddressHasItsShareOfConnectionsUnlessItIsAProxys) {
  const auto start_with = [this](const std::string& proxy) {
    // One thread has seen that an answer was sent before it takes the next connection.
    Start({.threads = 1,
           .max_connections_per_address = 1,
           .is_proxy = [proxy](const std::string& address) { return address == proxy; }});
  };
  start_with("127.0.0.1");
  HttpClient first(server_->address());
  first.Send(Get("/later"));
  HttpHandler::Respond respond = handler_.TakeOwed();
  EXPECT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
  std::move(respond)(Text("late"));
  EXPECT_EQ(first.ReadReply()->body, "late");

  start_with("192.0.2.1");
  HttpClient second(server_->address());
  second.Send(Get("/later"));
  respond = handler_.TakeOwed();
  HttpClient third(server_->address());
  ExpectRefused(third, 503, "too_many_connections");
  std::move(respond)(Text("late"));
  EXPECT_EQ(second.ReadReply()->body, "late");
  // It is idle now, and makes room.
  EXPECT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
  EXPECT_TRUE(second.AtEnd());
}

// --- Memory of bodies -------------------------------------------------------------------------

std::string HeadOf(size_t body_bytes) {
  return absl::StrCat("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: ",
                      body_bytes, "\r\n\r\n");
}

// Connections that announce large bodies and send nothing must keep nobody out.
TEST_F(HttpServerTest, AnnouncedBodiesTakeNoMemoryUntilTheyCome) {
  constexpr size_t kLarge = 500'000;
  Start({.max_unverified_bytes = 600'000});
  std::vector<std::unique_ptr<HttpClient>> announcing;
  for (int i = 0; i < 20; ++i) {
    announcing.push_back(std::make_unique<HttpClient>(server_->address()));
    announcing.back()->Send(HeadOf(kLarge));
    ASSERT_EQ(announcing.back()->ReadHead()->status, 100);
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Exchange(server_->address(), Post("/", std::string(kLarge, 'x')))->status, 200);
  }
}

// 1,000 bodies of 1 MiB that had come but for a byte once held 1 GiB.
TEST_F(HttpServerTest, BodiesAreRefusedBeforeTheyComeWhenTheirMemoryIsUsedUp) {
  constexpr size_t kLarge = 500'000;
  Start({.threads = 1, .max_unverified_bytes = 600'000});
  HttpClient half(server_->address());
  half.Send(HeadOf(kLarge));
  ASSERT_EQ(half.ReadHead()->status, 100);
  half.Send(std::string(kLarge - 1, 'x'));
  // Until all of it has been read. Usual webhooks are taken all the while.
  int status = 100;
  while (status == 100) {
    HttpClient large(server_->address());
    large.Send(HeadOf(kLarge));
    const auto reply = large.ReadHead();
    ASSERT_TRUE(reply.has_value());
    status = reply->status;
    EXPECT_EQ(reply->field("retry-after"), status == 503 ? "5" : "");
  }
  EXPECT_EQ(status, 503);
  HttpClient large(server_->address());
  large.Send(HeadOf(kLarge));
  ExpectRefused(large, 503, "too_many_bodies");
  EXPECT_EQ(Exchange(server_->address(), Post("/", std::string(10'000, 'x')))->status, 200);
  EXPECT_EQ(Exchange(server_->address(), Chunked("3\r\nabc\r\n0\r\n\r\n"))->status, 200);
  // Chunks do not say before how many they will be.
  HttpClient chunks(server_->address());
  chunks.Send(Chunked(absl::StrCat("61a80\r\n", std::string(400'000, 'x'))));
  ExpectRefused(chunks, 503, "too_many_bodies");
  // The one that was there first ends well, and gives its memory back.
  half.Send("x");
  EXPECT_EQ(half.ReadReply()->status, 200);
  EXPECT_EQ(Exchange(server_->address(), Post("/", std::string(kLarge, 'x')))->status, 200);
}

TEST_F(HttpServerTest, SlowBodyGivesItsMemoryUpWhenOthersNeedIt) {
  constexpr size_t kLarge = 500'000;
  Start({.threads = 1, .max_unverified_bytes = 600'000});
  HttpClient slow(server_->address());
  slow.Send(absl::StrCat("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ", kLarge, "\r\n\r\n",
                         std::string(kLarge - 1, 'x')));
  // Far below the time-out of a body, which is 30 s.
  int status = 503;
  while (status == 503) {
    const auto reply = Exchange(server_->address(), Post("/", std::string(kLarge, 'x')));
    if (reply.has_value()) status = reply->status;
  }
  EXPECT_EQ(status, 200);
  ExpectRefused(slow, 503, "too_many_bodies");
}

// One address filled the memory, renewed its bodies before their time was over, and nearly all
// large webhooks of others were refused.
TEST_F(HttpServerTest, AddressThatHoldsMostOfTheMemoryKeepsNobodyOut) {
  constexpr size_t kFilling = 150'000;
  // By this clock no body is ever slow.
  FakeClock clock;
  auto server = HttpServer::Start({.threads = 1, .max_unverified_bytes = 600'000}, handler_, clock);
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string address = (*server)->address();
  const HttpClient::From other = {"127.0.0.2"};
  std::vector<std::unique_ptr<HttpClient>> filling;
  for (int i = 0; i < 4; ++i) {
    filling.push_back(std::make_unique<HttpClient>(address, other));
    filling.back()->Send(HeadOf(kFilling));
    ASSERT_EQ(filling.back()->ReadHead()->status, 100);
    filling.back()->Send(std::string(kFilling - 1, 'x'));
  }
  // Until all of them have been read: the same address finds no room any more.
  int status = 100;
  while (status == 100) {
    HttpClient more(address, other);
    more.Send(HeadOf(100'000));
    const auto reply = more.ReadHead();
    ASSERT_TRUE(reply.has_value());
    status = reply->status;
  }
  EXPECT_EQ(status, 503);
  EXPECT_EQ(Exchange(address, Post("/", std::string(200'000, 'x')))->status, 200);
  std::map<int, int> answers;
  for (const auto& client : filling) {
    client->Send("x");
    const auto reply = client->ReadReply();
    ASSERT_TRUE(reply.has_value());
    ++answers[reply->status];
  }
  EXPECT_EQ(answers[503], 1);
  EXPECT_EQ(answers[200], 3);
}

// --- Time-outs --------------------------------------------------------------------------------

TEST_F(HttpServerTest, SlowHeaderIsRefused) {
  Start({.header_timeout = kShort});
  HttpClient client(server_->address());
  client.Send("GET / HT");
  ExpectRefused(client, 408, "request_timeout");
}

TEST_F(HttpServerTest, SlowHeaderOfAPipelinedRequestIsRefused) {
  Start({.header_timeout = kShort});
  HttpClient client(server_->address());
  client.Send(absl::StrCat(Get("/"), "GET / HT"));
  EXPECT_EQ(client.ReadReply()->status, 200);
  ExpectRefused(client, 408, "request_timeout");
}

TEST_F(HttpServerTest, SlowBodyIsRefused) {
  Start({.body_timeout = kShort});
  for (const std::string& begin :
       {std::string("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf"),
        Chunked("3\r\nab"), Chunked("")}) {
    HttpClient client(server_->address());
    client.Send(begin);
    ExpectRefused(client, 408, "request_timeout");
  }
}

TEST_F(HttpServerTest, SlowBodyAfterContinueIsRefused) {
  Start({.body_timeout = kShort});
  HttpClient client(server_->address());
  client.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(client.ReadHead()->status, 100);
  ExpectRefused(client, 408, "request_timeout");
}

// A time-out that came between two reads of one request was once lost, and with it the limit.
TEST_F(HttpServerTest, TimeoutHoldsAgainstSendersThatDripBytes) {
  Start({.header_timeout = absl::Milliseconds(2)});
  for (int i = 0; i < 100; ++i) {
    HttpClient client(server_->address());
    client.Send("GET / HTTP/1.1\r\nX: ");
    for (int bytes = 0; bytes < 200 + 10 * i; ++bytes) client.Send("x");
    const auto reply = client.ReadReply();
    // On a busy machine the first byte may come too late: then it is closed without an answer.
    if (reply.has_value()) {
      ASSERT_EQ(reply->status, 408);
    } else {
      ASSERT_TRUE(client.AtEnd());
    }
  }
}

// The first byte once had idle_timeout, so that silence held a place for a minute.
TEST_F(HttpServerTest, ConnectionThatSendsNothingIsClosedAfterTheHeadersTime) {
  Start({.header_timeout = kShort});
  HttpClient silent(server_->address());
  EXPECT_TRUE(silent.AtEnd());
}

TEST_F(HttpServerTest, IdleConnectionIsClosedWithoutAnAnswer) {
  Start({.idle_timeout = kShort});
  HttpClient resting(server_->address());
  resting.Send(Get("/"));
  EXPECT_EQ(resting.ReadReply()->status, 200);
  EXPECT_TRUE(resting.AtEnd());
}

TEST_F(HttpServerTest, HandlerMayTakeLongerThanAnyTimeout) {
  Start({.header_timeout = kShort, .body_timeout = kShort, .idle_timeout = kShort});
  HttpClient client(server_->address());
  client.Send(Post("/later", "body"));
  HttpHandler::Respond respond = handler_.TakeOwed();
  // All that can time out does so on a connection that began later.
  HttpClient idle(server_->address());
  EXPECT_TRUE(idle.AtEnd());
  std::move(respond)(Text("late"));
  EXPECT_EQ(client.ReadReply()->body, "late");
}

TEST_F(HttpServerTest, SenderThatDoesNotTakeItsAnswerIsClosed) {
  Start({.write_timeout = kShort});
  HttpClient client(server_->address());
  client.Send(Get("/large"));
  ASSERT_TRUE(Eventually("the request is there", [&] { return !handler_.lines().empty(); }));
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
  EXPECT_FALSE(client.ReadReply().has_value());
}

// --- Ends -------------------------------------------------------------------------------------

TEST_F(HttpServerTest, DrainClosesIdleConnectionsAndTakesNoNewOnes) {
  HttpClient client(server_->address());
  client.Send(Get("/"));
  EXPECT_EQ(client.ReadReply()->status, 200);
  HttpClient silent(server_->address());
  // Once a later connection is answered, the silent one has been accepted.
  EXPECT_EQ(Exchange(server_->address(), Get("/"))->status, 200);
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
  EXPECT_TRUE(client.AtEnd());
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
  // The address is free for the next process.
  const std::string address = server_->address();
  server_.reset();
  Start({.address = address});
  EXPECT_EQ(Exchange(address, Get("/"))->status, 200);
}

TEST_F(HttpServerTest, DrainLetsRequestsUnderWayFinish) {
  Start({.drain_patience = absl::Minutes(10)});
  HttpClient handled(server_->address());
  handled.Send(Get("/later"));
  HttpHandler::Respond respond = handler_.TakeOwed();
  HttpClient half_sent(server_->address());
  half_sent.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(half_sent.ReadHead()->status, 100);
  HttpClient idle(server_->address());
  idle.Send(Get("/"));
  EXPECT_EQ(idle.ReadReply()->status, 200);

  bool all_finished = false;
  std::thread drain([&] { all_finished = server_->Drain(absl::InfiniteDuration()); });
  EXPECT_TRUE(idle.AtEnd());  // The last to be told.
  idle.FinishSending();
  std::move(respond)(Text("late"));
  half_sent.Send("body");
  for (HttpClient* client : {&handled, &half_sent}) {
    const auto reply = client->ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(reply->field("connection"), "close");
    EXPECT_TRUE(client->AtEnd());
    client->FinishSending();
  }
  drain.join();
  EXPECT_TRUE(all_finished);
}

// Somebody who sent half a request, or did not take an answer, once delayed each drain by all of
// its time.
TEST_F(HttpServerTest, DrainDoesNotWaitForRequestsThatAreStillArriving) {
  Start({.threads = 1,
         .header_timeout = absl::Minutes(10),
         .body_timeout = absl::Minutes(10),
         .write_timeout = absl::Minutes(10),
         .drain_patience = kShort});
  HttpClient half_head(server_->address());
  half_head.Send("POST / HT");
  HttpClient half_body(server_->address());
  half_body.Send(absl::StrCat(HeadOf(5), "half"));
  EXPECT_EQ(half_body.ReadHead()->status, 100);
  HttpClient lingering(server_->address());
  lingering.Send(Get("/refused"));
  EXPECT_EQ(lingering.ReadReply()->status, 403);
  HttpClient not_reading(server_->address());
  not_reading.Send(Get("/large-refusal"));
  ASSERT_TRUE(Eventually("the request is there", [&] { return !handler_.lines().empty(); }));
  HttpClient handled(server_->address());
  handled.Send(Get("/later"));
  HttpHandler::Respond respond = handler_.TakeOwed();

  server_->BeginDrain();
  ExpectRefused(half_head, 503, "draining");
  ExpectRefused(half_body, 503, "draining");
  std::move(respond)(Text("late"));
  EXPECT_EQ(handled.ReadReply()->body, "late");
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
}

TEST_F(HttpServerTest, DrainIsFalseAndClosesIfOneDoesNotFinishInTime) {
  HttpClient client(server_->address());
  client.Send(Get("/later"));
  HttpHandler::Respond respond = handler_.TakeOwed();
  EXPECT_FALSE(server_->Drain(absl::ZeroDuration()));
  EXPECT_TRUE(client.AtEnd());
  std::move(respond)(Text("too late"));
  EXPECT_TRUE(server_->Drain(absl::InfiniteDuration()));
}

TEST_F(HttpServerTest, DestructorEndsEveryConnection) {
  HttpClient silent(server_->address());
  HttpClient half_head(server_->address());
  half_head.Send("GET / HT");
  HttpClient half_body(server_->address());
  half_body.Send("POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  EXPECT_EQ(half_body.ReadHead()->status, 100);
  server_.reset();
  EXPECT_TRUE(silent.AtEnd());
  EXPECT_TRUE(half_head.AtEnd());
  EXPECT_TRUE(half_body.AtEnd());
}

// Closing was once undone by a request that was wholly read: its timer kept the server waiting.
TEST_F(HttpServerTest, DestructorDoesNotWaitForRequestsThatCameAtTheLastMoment) {
  for (int i = 0; i < 100; ++i) {
    Start({.header_timeout = absl::Minutes(10), .body_timeout = absl::Minutes(10)});
    HttpClient client(server_->address());
    client.Send(absl::StrCat(Get("/"), Get("/"), Post("/", "body"), "POST / HT"));
    server_.reset();
  }
}

// The last session was once taken for gone while its thread was still at work in it.
TEST_F(HttpServerTest, DestructorWaitsForAnswersThatAreStillOwed) {
  for (int i = 0; i < 100; ++i) {
    Start({});
    HttpClient client(server_->address());
    client.Send(Get("/later"));
    std::thread other([answer = i % 2 == 0, respond = handler_.TakeOwed()]() mutable {
      if (answer) {
        std::move(respond)(Text("late"));
      } else {
        respond = {};
      }
    });
    server_.reset();
    other.join();
  }
}

TEST_F(HttpServerTest, HandlerIsToldThePeersAddress) {
  ASSERT_TRUE(Exchange(server_->address(), Get("/")).has_value());
  ASSERT_EQ(handler_.handled().size(), 1u);
  EXPECT_EQ(handler_.handled()[0].peer, "127.0.0.1");
}

// --- TLS --------------------------------------------------------------------------------------

class HttpsServerTest : public HttpServerTest {
 protected:
  void SetUp() override { StartTls({}); }

  void StartTls(const HttpServerOptions& options) {
    server_.reset();  // It uses the store.
    std::filesystem::create_directories(folder_);
    Write(first_);
    auto store = CertificateStore::Open(files_, clock_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    Start(options, store_.get());
  }
  void Write(const TestCertificate& pair) {
    std::ofstream(files_.certificate, std::ios::binary) << pair.certificate;
    std::ofstream(files_.key, std::ios::binary) << pair.key;
  }
  HttpClient Connect() { return HttpClient(server_->address(), authority_.certificate()); }

  const std::string folder_ = FreshTestFolder();
  const CertificateFiles files_ = {folder_ + "/cert.pem", folder_ + "/key.pem", ""};
  const TestAuthority authority_;
  const TestAuthority other_authority_;
  const TestCertificate first_ = authority_.Issue();
  std::unique_ptr<CertificateStore> store_;
};

TEST_F(HttpsServerTest, ConnectionTakesOneRequestAfterTheOther) {
  HttpClient client = Connect();
  const std::string large(600'000, 'x');
  for (const std::string& body : {std::string("1"), large, std::string("3")}) {
    ASSERT_TRUE(client.Send(Post("/", body)));
    const auto reply = client.ReadReply();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->body, "POST / " + body);
  }
}

TEST_F(HttpsServerTest, RefusalArrivesAlthoughTheBodyIsStillBeingSent) {
  HttpClient client = Connect();
  ASSERT_TRUE(
      client.Send("POST /refused HTTP/1.1\r\nHost: test\r\nContent-Length: 900000\r\n\r\nbegin"));
  const auto reply = client.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 403);
}

TEST_F(HttpsServerTest, PlainTextAndGarbageAreClosed) {
  for (const std::string& bytes :
       {Get("/"), std::string("\x16\x03\x01\xff\xff", 5), std::string(5000, 'x')}) {
    HttpClient client(server_->address());
    ASSERT_TRUE(client.Send(bytes));
    client.FinishSending();
    EXPECT_FALSE(client.ReadReply().has_value());
  }
  EXPECT_THAT(handler_.lines(), IsEmpty());
  HttpClient client = Connect();
  ASSERT_TRUE(client.Send(Get("/")));
  EXPECT_TRUE(client.ReadReply().has_value());
}

TEST_F(HttpsServerTest, HandshakeThatDoesNotGoOnIsClosed) {
  StartTls({.header_timeout = kShort});
  HttpClient client(server_->address());
  EXPECT_TRUE(client.AtEnd());
  HttpClient half(server_->address());
  ASSERT_TRUE(half.Send(absl::string_view("\x16\x03\x01\x02\x00", 5)));
  EXPECT_TRUE(half.AtEnd());
}

TEST_F(HttpsServerTest, NewConnectionsAreShownTheRenewedCertificate) {
  HttpClient before = Connect();
  ASSERT_TRUE(before.Send(Get("/before")));
  ASSERT_TRUE(before.ReadReply().has_value());
  Write(other_authority_.Issue());
  ASSERT_TRUE(store_->Reload().ok());
  HttpClient distrusting = Connect();
  EXPECT_FALSE(distrusting.Send(Get("/distrusting")));
  HttpClient after(server_->address(), other_authority_.certificate());
  ASSERT_TRUE(after.Send(Get("/after")));
  EXPECT_TRUE(after.ReadReply().has_value());
  // Who was there before goes on.
  ASSERT_TRUE(before.Send(Get("/again")));
  EXPECT_TRUE(before.ReadReply().has_value());
}

// The first request has what the handshake has left of the time.
TEST_F(HttpsServerTest, ConnectionThatSendsNothingAfterItsHandshakeIsClosed) {
  StartTls({.header_timeout = absl::Milliseconds(500)});
  HttpClient client = Connect();
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpsServerTest, HandshakeMakesRoomWhenAllPlacesAreTaken) {
  StartTls({.threads = 1, .max_connections = 2});
  HttpClient silent(server_->address());
  HttpClient half(server_->address());
  ASSERT_TRUE(half.Send(absl::string_view("\x16\x03\x01\x02\x00", 5)));
  HttpClient third = Connect();
  ASSERT_TRUE(third.Send(Get("/")));
  ASSERT_TRUE(third.ReadReply().has_value());
  EXPECT_TRUE(silent.AtEnd());
}

TEST_F(HttpsServerTest, ConnectionsAboveTheLimitAreToldSo) {
  StartTls({.max_connections = 1});
  HttpClient first = Connect();
  ASSERT_TRUE(first.Send(Get("/later")));
  HttpHandler::Respond respond = handler_.TakeOwed();
  HttpClient second = Connect();
  const auto reply = second.ReadReply();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 503);
}

TEST_F(HttpsServerTest, DrainEndsIdleConnectionsAndHandshakes) {
  HttpClient idle = Connect();
  ASSERT_TRUE(idle.Send(Get("/")));
  ASSERT_TRUE(idle.ReadReply().has_value());
  HttpClient silent(server_->address());
  EXPECT_TRUE(server_->Drain(absl::Seconds(60)));
  EXPECT_TRUE(silent.AtEnd());
}

// --- Addresses --------------------------------------------------------------------------------

TEST_F(HttpServerTest, AddressThatCannotBeReadIsNamed) {
  for (const char* address :
       {"", "nonsense", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:http", "127.0.0.1:65536",
        "127.0.0.1:65616", "127.0.0.1:-1", "127.0.0.1: 80", "::1:80", "[::1:80", "256.0.0.1:80"}) {
    const auto server = HttpServer::Start({.address = address}, handler_, clock_);
    EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << address << " " << server.status();
    EXPECT_THAT(std::string(server.status().message()),
                HasSubstr(absl::StrCat("\"", address, "\"")));
  }
}

TEST_F(HttpServerTest, TakenPortIsNamed) {
  const auto server = HttpServer::Start({.address = server_->address()}, handler_, clock_);
  EXPECT_TRUE(absl::IsUnavailable(server.status())) << server.status();
  EXPECT_THAT(std::string(server.status().message()), HasSubstr(server_->address()));
}

TEST_F(HttpServerTest, Ipv6IsWrittenInBrackets) {
  const auto server = HttpServer::Start({.address = "[::1]:0"}, handler_, clock_);
  if (absl::IsUnavailable(server.status())) GTEST_SKIP() << "this machine has no IPv6";
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(absl::StartsWith((*server)->address(), "[::1]:")) << (*server)->address();
}

}  // namespace
}  // namespace hookgate
