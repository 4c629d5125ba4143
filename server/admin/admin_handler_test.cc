#include "server/admin/admin_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/http/http_server.h"
#include "server/ingest/fake_head.h"
#include "server/metrics/metric_registry.h"
#include "tests/support/fake_clock.h"
#include "tests/support/http_client.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class AdminHandlerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = HttpServer::Start({.threads = 1}, handler_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  HttpReply Ask(absl::string_view target, absl::string_view method = "GET") {
    const auto reply = Exchange(server_->address(),
                                absl::StrCat(method, " ", target, " HTTP/1.1\r\nHost: t\r\n\r\n"));
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(HttpReply());
  }

  std::vector<std::string> reasons_;  // set before a request is sent
  std::string not_leading_;           // the same
  FakeClock clock_;
  MetricRegistry metrics_;
  AdminHandler handler_{[this] { return reasons_; }, [this] { return not_leading_; }, metrics_,
                        clock_};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(AdminHandlerTest, HealthIsOkAsLongAsAnythingAnswers) {
  for (const char* target : {"/healthz", "/healthz?verbose"}) {
    const HttpReply reply = Ask(target);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.field("content-type"), "application/json");
    EXPECT_EQ(reply.body, R"({"status":"ok"})");
  }
  reasons_ = {"draining"};
  EXPECT_EQ(Ask("/healthz").status, 200);
}

TEST_F(AdminHandlerTest, ReadinessFollowsTheReasonsAgainstIt) {
  EXPECT_EQ(Ask("/readyz").status, 200);
  EXPECT_EQ(Ask("/readyz").body, R"({"status":"ready"})");
  reasons_ = {"draining", "the disk said \"full\""};
  EXPECT_EQ(Ask("/readyz").status, 503);
  EXPECT_EQ(Ask("/readyz?x").body,
            R"({"status":"not_ready","reasons":["draining","the disk said \"full\""]})");
  reasons_ = {};
  EXPECT_EQ(Ask("/readyz").status, 200);
}

TEST_F(AdminHandlerTest, OneThatIsAloneLeads) {
  EXPECT_EQ(Ask("/leaderz").status, 200);
  EXPECT_EQ(Ask("/leaderz").body, R"({"status":"leader"})");
  not_leading_ = "replica a does not lead";
  EXPECT_EQ(Ask("/leaderz").status, 503);
  EXPECT_EQ(Ask("/leaderz").body,
            R"({"status":"not_leader","reasons":["replica a does not lead"]})");
  EXPECT_EQ(Ask("/readyz").status, 200) << "it may be sent what any replica takes";
}

constexpr MetricInfo kSent = {"sent_total", MetricType::kCounter, "What was sent."};

TEST_F(AdminHandlerTest, AScrapeHasWhatIsCounted) {
  const auto sent = metrics_.AddCounter(kSent);
  sent->Add(3);
  const HttpReply reply = Ask("/metrics?name[]=x");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(reply.body,
            "# HELP sent_total What was sent.\n# TYPE sent_total counter\nsent_total 3\n");
}

TEST_F(AdminHandlerTest, AScrapeThatAsksForOpenMetricsGetsIt) {
  const auto sent = metrics_.AddCounter(kSent);
  // As a list in two lines.
  const auto reply = Exchange(server_->address(),
                              "GET /metrics HTTP/1.1\r\nHost: t\r\nAccept: "
                              "application/openmetrics-text;version=1.0.0\r\nACCEPT: "
                              "text/plain;version=0.0.4;q=0.5\r\n\r\n");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->field("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_EQ(reply->body, "# HELP sent What was sent.\n# TYPE sent counter\nsent_total 0\n# EOF\n");
}

// Each answer holds its text until it is written: clients that do not read could have had one for
// each connection.
TEST_F(AdminHandlerTest, ScrapesThatNobodyTakesAreBounded) {
  const FakeHead head = FakeHead::To("/metrics", {}, "GET");
  const auto scrape = [&] {
    HttpResponse response;
    handler_.Handle(head, "", absl::UnixEpoch(),
                    [&](HttpResponse given) { response = std::move(given); });
    return response;
  };
  std::vector<HttpResponse> under_way;
  for (int i = 0; i < AdminHandler::kMaxScrapes; ++i) under_way.push_back(scrape());
  EXPECT_EQ(under_way.back().status, 200);
  for (int i = 0; i < 3; ++i) {
    const HttpResponse refused = scrape();
    EXPECT_EQ(refused.status, 503);
    EXPECT_THAT(refused.body, HasSubstr(R"("code":"too_many_scrapes")"));
  }
  under_way.pop_back();
  EXPECT_EQ(scrape().status, 200);
}

// Four clients that did not read kept all others from the metrics for 30 s.
TEST_F(AdminHandlerTest, AScrapeThatIsNotReadGivesItsPlaceToTheNext) {
  const FakeHead head = FakeHead::To("/metrics", {}, "GET");
  std::vector<int> closed;
  const auto scrape = [&](int number) {
    HttpResponse response;
    handler_.Handle(head, "", absl::UnixEpoch(),
                    [&](HttpResponse given) { response = std::move(given); });
    if (response.watch != nullptr) {
      response.watch->OnBegin([&closed, number]() -> std::function<void()> {
        return [&closed, number] { closed.push_back(number); };
      });
    }
    return response;
  };
  std::vector<HttpResponse> unread;
  for (int i = 0; i < AdminHandler::kMaxScrapes; ++i) unread.push_back(scrape(i));
  clock_.Advance(AdminHandler::kScrapePatience - absl::Milliseconds(1));
  EXPECT_EQ(scrape(10).status, 503);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(scrape(11).status, 200) << "which is read at once";
  EXPECT_THAT(closed, ElementsAre(0));
  unread.push_back(scrape(12));
  EXPECT_EQ(unread.back().status, 200) << "the place is free again";
  EXPECT_THAT(closed, ElementsAre(0));
  unread.push_back(scrape(13));
  EXPECT_THAT(closed, ElementsAre(0, 1)) << "the oldest of those that hold a place";
  unread.clear();  // In any order, also those that were closed.
  for (int i = 20; i < 20 + AdminHandler::kMaxScrapes; ++i) {
    unread.push_back(scrape(i));
    EXPECT_EQ(unread.back().status, 200);
  }
  EXPECT_EQ(scrape(30).status, 503);
}

// The same with connections.
TEST_F(AdminHandlerTest, ClientsThatDoNotReadKeepNobodyFromTheMetrics) {
  // More than sockets hold.
  std::vector<std::shared_ptr<Counter>> counters;
  for (int i = 0; i < 3000; ++i) {
    counters.push_back(
        metrics_.AddCounter(kSent, {{"a", std::string(4000, 'a') + std::to_string(i)}}));
  }
  std::vector<std::unique_ptr<HttpClient>> silent;
  for (int i = 0; i < AdminHandler::kMaxScrapes; ++i) {
    silent.push_back(std::make_unique<HttpClient>(server_->address()));
    silent.back()->Send("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n");
    EXPECT_FALSE(silent.back()->ReadSome().empty());  // It is being answered.
  }
  EXPECT_EQ(Ask("/metrics").status, 503);
  clock_.Advance(AdminHandler::kScrapePatience);
  EXPECT_EQ(Ask("/metrics").status, 200);
}

TEST_F(AdminHandlerTest, HeadIsAnsweredAsGetWithoutBody) {
  HttpClient client(server_->address());
  client.Send("HEAD /readyz HTTP/1.1\r\nHost: t\r\n\r\nGET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
  const auto head = client.ReadHead();
  ASSERT_TRUE(head.has_value());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->field("content-length"), "18");
  EXPECT_EQ(client.ReadReply()->body, R"({"status":"ok"})");
}

TEST_F(AdminHandlerTest, OtherPathsAreNotFound) {
  for (const char* target :
       {"/", "/health", "/healthz/", "/readyz/x", "/metrics/", "/webhooks/openai", "*"}) {
    const HttpReply reply = Ask(target);
    EXPECT_EQ(reply.status, 404) << target;
    EXPECT_EQ(reply.field("content-type"), "application/problem+json");
    EXPECT_THAT(reply.body, HasSubstr(R"("code":"not_found")"));
  }
}

TEST_F(AdminHandlerTest, OtherMethodsAreNotAllowed) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
    const HttpReply reply = Ask("/healthz", method);
    EXPECT_EQ(reply.status, 405) << method;
    EXPECT_EQ(reply.field("allow"), "GET, HEAD");
    EXPECT_THAT(reply.body, HasSubstr(R"("code":"method_not_allowed")"));
  }
}

TEST_F(AdminHandlerTest, WhatIsNoHttpIsAnsweredAlike) {
  const auto reply = Exchange(server_->address(), "garbage\r\n\r\n");
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->status, 400);
  EXPECT_THAT(reply->body, HasSubstr(R"("code":"malformed_request")"));
}

}  // namespace
}  // namespace hookgate
