// What a scrape of a real gateway says: each metric that docs/metrics.md lists, and each moves with
// what it is about.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <boost/json.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/text_format.h"
#include "hookgate/v1/admin_service.grpc.pb.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/consume_call.h"
#include "tests/support/event_stream.h"
#include "tests/support/program.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kOneSource[] =
    R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" } })";
constexpr char kAsPrometheusAsks[] =
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

// A scrape, read by the rules of its format: any line that breaks them fails the test.
class Scraped {
 public:
  explicit Scraped(const std::string& text, bool open_metrics = false) { Read(text, open_metrics); }

  // -1: there is no such series.
  double Value(const std::string& series) const {
    const auto found = samples_.find(series);
    return found == samples_.end() ? -1 : found->second;
  }
  bool Has(const std::string& series) const { return samples_.contains(series); }
  // Whether any series has this in its name or labels.
  bool Mentions(const std::string& text) const {
    for (const auto& [series, value] : samples_) {
      if (absl::StrContains(series, text)) return true;
    }
    return false;
  }
  double Sum(const std::string& name) const {
    double sum = 0;
    for (const auto& [series, value] : samples_) {
      if (series == name || absl::StartsWith(series, name + "{")) sum += value;
    }
    return sum;
  }
  const std::map<std::string, std::string>& types() const { return types_; }
  const std::map<std::string, double>& samples() const { return samples_; }

 private:
  void Read(const std::string& text, bool open_metrics) {
    std::vector<std::string> lines = absl::StrSplit(text, '\n');
    ASSERT_EQ(lines.back(), "");  // the last line ends as well
    lines.pop_back();
    if (open_metrics) {
      ASSERT_EQ(lines.back(), "# EOF");
      lines.pop_back();
    }
    std::string family;
    std::string type;
    for (const std::string& line : lines) {
      if (absl::StartsWith(line, "# HELP ")) {
        const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(' ', 3));
        ASSERT_EQ(parts.size(), 4u) << line;
        family = parts[2];
        ASSERT_TRUE(families_.insert(family).second) << "twice: " << line;
      } else if (absl::StartsWith(line, "# TYPE ")) {
        const std::vector<std::string> parts = absl::StrSplit(line, ' ');
        ASSERT_EQ(parts.size(), 4u) << line;
        ASSERT_EQ(parts[2], family) << line;
        type = parts[3];
        types_[family] = type;
      } else {
        ASSERT_FALSE(absl::StartsWith(line, "#")) << line;
        ASSERT_TRUE(TakeSample(line, family, type, open_metrics)) << line;
      }
    }
  }

  bool TakeSample(const std::string& line, const std::string& family, const std::string& type,
                  bool open_metrics) {
    const size_t space = line.rfind(' ');
    if (space == std::string::npos) return false;
    const std::string series = line.substr(0, space);
    const std::string name = series.substr(0, series.find('{'));
    std::set<std::string> names = {family};
    if (type == "histogram") names = {family + "_bucket", family + "_sum", family + "_count"};
    if (open_metrics && type == "counter") names = {family + "_total"};
    if (open_metrics && type == "info") names = {family + "_info"};
    double value = 0;
    return names.contains(name) && absl::SimpleAtod(line.substr(space + 1), &value) &&
           samples_.emplace(series, value).second;
  }

  std::set<std::string> families_;
  std::map<std::string, std::string> types_;
  std::map<std::string, double> samples_;
};

class MetricsTest : public GatewayTest {
 protected:
  using Stub = v1::SubscriptionService::Stub;

  HttpReply Ask(const std::string& accept = "") {
    const auto reply =
        Exchange(gateway_->admin(),
                 absl::StrCat("GET /metrics HTTP/1.1\r\nHost: t\r\nAccept: ", accept, "\r\n\r\n"));
    EXPECT_TRUE(reply.has_value());
    return reply.value_or(HttpReply());
  }
  Scraped Scrape() { return Scraped(Ask().body); }
  // Scrapes until `holds` does: what a thread of its own looks up comes within seconds.
  template <typename Holds>
  Scraped ScrapeWhen(Holds holds) {
    const absl::Time end = absl::Now() + absl::Seconds(60);
    while (true) {
      const std::string text = Ask().body;
      Scraped scraped(text);
      if (holds(scraped)) return scraped;
      if (absl::Now() > end) {
        ADD_FAILURE() << "it never came: " << text;
        return scraped;
      }
      std::this_thread::yield();
    }
  }
  template <typename Request, typename Response>
  Response Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
    Response response;
    grpc::ClientContext context;
    const auto stub = ConnectToSubscriptions(gateway_->grpc());
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  void Create(const std::string& name, const std::string& settings = "") {
    Call(&Stub::CreateSubscription,
         absl::StrCat("name: '", name, "' settings { ", settings,
                      " } start { start_position: START_POSITION_EARLIEST }"));
  }
};

// The names and types of docs/metrics.md, as it lists them: "- `name` (type): ...".
std::map<std::string, std::string> Documented() {
  std::map<std::string, std::string> documented;
  const std::regex metric("- `([a-z_]+)` \\(([a-z]+)\\): .*");
  for (const absl::string_view line :
       absl::StrSplit(ReadTestFile(PathOfProgram("docs/metrics.md")), '\n')) {
    std::cmatch match;
    if (!std::regex_match(line.begin(), line.end(), match, metric)) continue;
    EXPECT_TRUE(documented.emplace(match[1].str(), match[2].str()).second) << line;
  }
  return documented;
}

TEST_F(MetricsTest, TheDocumentationListsWhatThereIs) {
  Start();
  std::map<std::string, std::string> documented = Documented();
  EXPECT_GT(documented.size(), 40u);
  for (auto& [name, type] : documented) {
    if (type == "info") type = "gauge";  // in this format
  }
  EXPECT_EQ(Scrape().types(), documented);
}

// A panel or rule about a metric that there is not shows nothing, and nobody notices.
TEST(MetricNamesTest, TheDashboardAndTheAlertsNameWhatThereIs) {
  const std::map<std::string, std::string> documented = Documented();
  const std::string dashboard = ReadTestFile(PathOfProgram("docs/dashboard.json"));
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(dashboard, error);
  ASSERT_FALSE(error) << error.message();
  EXPECT_GT(parsed.at("panels").as_array().size(), 20u);
  const std::string alerts = ReadTestFile(PathOfProgram("docs/alerts.yml"));
  const std::regex metric("(hookgate|process)_[a-z_]+");
  for (const std::string* const text : {&dashboard, &alerts}) {
    int found = 0;
    for (std::sregex_iterator at(text->begin(), text->end(), metric), end; at != end; ++at) {
      std::string base = (*at)[0].str();
      for (const absl::string_view suffix : {"_bucket", "_count", "_sum"}) {
        if (!documented.contains(base)) base = std::string(absl::StripSuffix(base, suffix));
      }
      EXPECT_TRUE(documented.contains(base)) << base;
      ++found;
    }
    EXPECT_GT(found, 10);
  }
}

TEST_F(MetricsTest, BothFormatsSayTheSame) {
  Start();
  Create("mail");
  Store({});
  // What is looked up beside scrapes is there from then on.
  ScrapeWhen([](const Scraped& scraped) {
    return scraped.Has(
               R"(hookgate_subscription_oldest_unacked_age_seconds{subscription="mail"})") &&
           scraped.Has("hookgate_storage_used_bytes");
  });
  const HttpReply text = Ask("text/plain");
  const HttpReply open = Ask(kAsPrometheusAsks);
  EXPECT_EQ(text.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(open.field("content-type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  const Scraped as_text(text.body);
  const Scraped as_open(open.body, /*open_metrics=*/true);
  std::set<std::string> in_text;
  std::set<std::string> in_open;
  for (const auto& [series, value] : as_text.samples()) in_text.insert(series);
  for (const auto& [series, value] : as_open.samples()) in_open.insert(series);
  EXPECT_EQ(in_text, in_open);
}

// An operator saw only totals of all sources, and only when asking for them over gRPC.
TEST_F(MetricsTest, EachResultOfAWebhookIsCounted) {
  StartWithConfig(absl::StrCat(kOneSource, "http { max_body_bytes: 1024 }"));
  const Scraped before = Scrape();
  EXPECT_EQ(before.Value(R"(hookgate_webhooks_total{source="openai",result="stored"})"), 0);
  EXPECT_EQ(before.Value(R"(hookgate_last_webhook_timestamp_seconds{source="openai"})"), 0);
  EXPECT_EQ(before.Sum("hookgate_webhooks_total"), 0);
  Store({.webhook_id = "wh_1"});
  Send({.webhook_id = "wh_1"});
  Send({.webhook_id = "wh_1", .body = BatchFailedBody("another")});
  Send({.body = "{"});
  Send({.secret = kWrongSecret});
  Send({.source = "nobody"});
  Send({.body = std::string(2000, ' ')});
  SendBytes("GET /webhooks/openai HTTP/1.1\r\nHost: t\r\n\r\n");
  SendBytes("nonsense\r\n\r\n");
  const Scraped after = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Value(R"(hookgate_quarantine_entries{source="openai"})") == 1;
  });
  const auto webhooks = [&after](const std::string& source, const std::string& result) {
    return after.Value(
        absl::StrCat("hookgate_webhooks_total{source=\"", source, "\",result=\"", result, "\"}"));
  };
  EXPECT_EQ(webhooks("openai", "stored"), 1);
  EXPECT_EQ(webhooks("openai", "duplicate"), 1);
  EXPECT_EQ(webhooks("openai", "conflict"), 1);
  EXPECT_EQ(webhooks("openai", "quarantined"), 1);
  EXPECT_EQ(webhooks("openai", "refused"), 3);
  EXPECT_EQ(webhooks("", "refused"), 2);
  EXPECT_EQ(after.Sum("hookgate_webhooks_total"), 9);
  EXPECT_EQ(after.Sum("hookgate_webhooks_refused_total"), 5);
  const auto refused = [&after](const std::string& source, const std::string& code) {
    return after.Value(absl::StrCat("hookgate_webhooks_refused_total{source=\"", source,
                                    "\",code=\"", code, "\"}"));
  };
  EXPECT_EQ(refused("openai", "signature_mismatch"), 1);
  EXPECT_EQ(refused("openai", "body_too_large"), 1);
  EXPECT_EQ(refused("openai", "method_not_allowed"), 1);
  EXPECT_EQ(refused("openai", "rate_limited"), 0);
  EXPECT_EQ(refused("", "unknown_source"), 1);
  EXPECT_EQ(refused("", "malformed_request"), 1);
  EXPECT_FALSE(after.Mentions("nobody"));
  EXPECT_EQ(after.Sum("hookgate_webhook_duration_seconds_count"), 9);
  EXPECT_EQ(after.Value(R"(hookgate_webhook_delay_seconds_count{source="openai"})"), 1);
  EXPECT_GT(after.Value(R"(hookgate_webhook_body_bytes_total{source="openai"})"), 0);
  EXPECT_GT(after.Value(R"(hookgate_last_webhook_timestamp_seconds{source="openai"})"), 1.7e9);
  EXPECT_GT(
      after.Value(
          R"(hookgate_secret_last_verified_timestamp_seconds{source="openai",secret="old",scheme="v1"})"),
      1.7e9);
  EXPECT_EQ(after.Value("hookgate_log_head_sequence"), 1);
  EXPECT_GT(after.Value(R"(hookgate_log_commits_total{result="ok"})"), 0);
  EXPECT_EQ(after.Value("hookgate_log_commit_duration_seconds_count"),
            after.Value(R"(hookgate_log_commits_total{result="ok"})"));
  EXPECT_GT(after.Value("hookgate_storage_used_bytes"), 0);
  EXPECT_GT(after.Value("hookgate_storage_free_bytes"), 0);
  EXPECT_FALSE(after.Has("hookgate_storage_limit_bytes"));
  EXPECT_EQ(after.Value(R"(hookgate_http_connections_limit{listener="http"})"), 1024);
  EXPECT_GE(after.Value(R"(hookgate_http_connections{listener="admin"})"), 1);
}

// A restart begins them at 0, whatever GetStatus goes on from: Prometheus knows a reset by that.
TEST_F(MetricsTest, CountersBeginAtZeroWithTheProcess) {
  Start();
  Store({});
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  Start();
  EXPECT_EQ(GetStatus().ingest().stored(), 1);
  EXPECT_EQ(Scrape().Sum("hookgate_webhooks_total"), 0);
  EXPECT_GT(Scrape().Value(R"(hookgate_last_webhook_timestamp_seconds{source="openai"})"), 1.7e9);
}

std::string Settled(const std::string& subscription, const std::string& outcome) {
  return absl::StrCat("hookgate_subscription_settled_total{subscription=\"", subscription,
                      "\",outcome=\"", outcome, "\"}");
}

// Whoever paused a subscription woke the person on call five minutes later.
TEST_F(MetricsTest, APausedSubscriptionIsToldFromOneThatIsStuck) {
  const std::string paused = R"(hookgate_subscription_paused{subscription="mail"})";
  Start();
  Create("mail");
  EXPECT_EQ(Scrape().Value(paused), 0);
  Call(&Stub::PauseSubscription, "name: 'mail'");
  EXPECT_EQ(Scrape().Value(paused), 1);
  gateway_->Kill();
  Start();
  EXPECT_EQ(Scrape().Value(paused), 1);
  Call(&Stub::ResumeSubscription, "name: 'mail'");
  EXPECT_EQ(Scrape().Value(paused), 0);
}

std::string Events(const std::string& subscription, const std::string& state) {
  return absl::StrCat("hookgate_subscription_events{subscription=\"", subscription, "\",state=\"",
                      state, "\"}");
}

TEST_F(MetricsTest, WhatBecomesOfASubscriptionsEventsIsCounted) {
  Start();
  Create("mail", "max_attempts: 2 minimum_backoff { nanos: 100000000 }");
  const Scraped none = Scrape();
  for (const char* outcome : {"acked", "nacked", "deadline_passed", "dead_lettered", "discarded"}) {
    EXPECT_EQ(none.Value(Settled("mail", outcome)), 0) << outcome;
  }
  EXPECT_EQ(none.Value(R"(hookgate_subscription_lost_events_total{subscription="mail"})"), 0);
  EXPECT_EQ(none.Value(R"(hookgate_subscription_backlog_events{subscription="mail"})"), 0);
  EXPECT_FALSE(
      none.Has(R"(hookgate_subscription_oldest_unacked_age_seconds{subscription="mail"})"));
  for (int i = 0; i < 4; ++i) Store({});
  // Nobody consumes: the age is looked up, and known by the next scrape.
  const Scraped waiting = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Has(R"(hookgate_subscription_oldest_unacked_age_seconds{subscription="mail"})");
  });
  EXPECT_EQ(waiting.Value(R"(hookgate_subscription_backlog_events{subscription="mail"})"), 4);
  EXPECT_EQ(waiting.Value(R"(hookgate_subscription_consumers{subscription="mail"})"), 0);

  ConsumeCall call(gateway_->grpc(), "subscription: 'mail' consumer_name: 'a'");
  std::vector<v1::Delivery> deliveries = call.NextDeliveries(4);
  ASSERT_EQ(deliveries.size(), 4u);
  const Scraped leased = Scrape();
  EXPECT_EQ(leased.Value(Events("mail", "in_flight")), 4);
  EXPECT_EQ(leased.Value(R"(hookgate_subscription_consumers{subscription="mail"})"), 1);
  EXPECT_EQ(leased.Value(R"(hookgate_streams{rpc="Consume"})"), 1);
  EXPECT_EQ(leased.Value(R"(hookgate_streams{rpc="Subscribe"})"), 0);
  EXPECT_EQ(leased.Value(R"(hookgate_delivered_events_total{rpc="Consume"})"), 4);

  call.Ack(deliveries[0].delivery_id());
  call.NextResult();
  call.Nack(deliveries[1].delivery_id(), "dead_letter: true");
  call.NextResult();
  call.Nack(deliveries[2].delivery_id(), "dead_letter: true");
  call.NextResult();
  call.Nack(deliveries[3].delivery_id());
  call.NextResult();
  const Scraped settled = Scrape();
  EXPECT_EQ(settled.Value(Settled("mail", "acked")), 1);
  EXPECT_EQ(settled.Value(Settled("mail", "nacked")), 3);
  EXPECT_EQ(settled.Value(Settled("mail", "dead_lettered")), 2);
  EXPECT_EQ(settled.Value(Settled("mail", "discarded")), 0);
  EXPECT_EQ(settled.Value(Events("mail", "dead")), 2);
  EXPECT_EQ(
      settled.Value(R"(hookgate_subscription_ack_latency_seconds_count{subscription="mail"})"), 1);
  // The second attempt is the last.
  const v1::Delivery again = call.NextDelivery();
  call.Nack(again.delivery_id());
  call.NextResult();
  EXPECT_EQ(Scrape().Value(Settled("mail", "dead_lettered")), 3);
  EXPECT_EQ(Scrape().Value(R"(hookgate_delivered_events_total{rpc="Consume"})"), 5);

  Call(&Stub::DiscardDeadLetters,
       absl::StrCat("subscription: 'mail' sequences: ", deliveries[1].event().sequence()));
  EXPECT_EQ(Scrape().Value(Settled("mail", "discarded")), 1);
  // What is redriven is neither discarded nor settled.
  Call(&Stub::RedriveDeadLetters,
       absl::StrCat("subscription: 'mail' sequences: ", deliveries[2].event().sequence()));
  const v1::Delivery redriven = call.NextDelivery();
  EXPECT_EQ(redriven.event().sequence(), deliveries[2].event().sequence());
  const Scraped last = Scrape();
  EXPECT_EQ(last.Value(Settled("mail", "discarded")), 1);
  EXPECT_EQ(last.Value(Events("mail", "dead")), 1);
  EXPECT_EQ(last.Value(Events("mail", "in_flight")), 1);

  // An ack of what was thought dead settles it.
  call.Cancel();
  call.Finish();
  const Scraped ended = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Value(R"(hookgate_stream_ends_total{rpc="Consume",code="CANCELLED"})") == 1;
  });
  EXPECT_EQ(ended.Value(R"(hookgate_streams{rpc="Consume"})"), 0);
  EXPECT_EQ(ended.Sum("hookgate_stream_ends_total"), 1);

  Call(&Stub::DeleteSubscription, "name: 'mail'");
  const Scraped deleted = Scrape();
  EXPECT_FALSE(deleted.Mentions("subscription=\"mail\""));
  EXPECT_EQ(deleted.Value("hookgate_subscriptions"), 0);
  // One of the same name begins again.
  Create("mail");
  EXPECT_EQ(Scrape().Value(Settled("mail", "acked")), 0);
}

TEST_F(MetricsTest, StreamsPullsAndUnaryCallsAreCounted) {
  Start();
  Create("mail");
  Store({});
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_EARLIEST");
  EXPECT_EQ(stream.NextEvents(1).size(), 1u);
  EXPECT_EQ(
      Call(&Stub::Pull, "subscription: 'mail' consumer_name: 'a' max_events: 10").deliveries_size(),
      1);
  v1::GetSubscriptionResponse response;
  v1::GetSubscriptionRequest request;
  request.set_name("nobody");
  grpc::ClientContext context;
  EXPECT_EQ(ConnectToSubscriptions(gateway_->grpc())
                ->GetSubscription(&context, request, &response)
                .error_code(),
            grpc::StatusCode::NOT_FOUND);
  EventStream refused(gateway_->grpc(), "");
  refused.Next();
  EXPECT_EQ(refused.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  // The server notes an end once its last frame is on the way, which may be after its client knows.
  const Scraped scraped = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Value(
               R"(hookgate_stream_ends_total{rpc="Subscribe",code="INVALID_ARGUMENT"})") == 1 &&
           scraped.Value(R"(hookgate_streams_behind{rpc="Subscribe"})") == 0;
  });
  EXPECT_EQ(scraped.Value(R"(hookgate_streams{rpc="Subscribe"})"), 1);
  EXPECT_EQ(scraped.Value(R"(hookgate_stream_ends_total{rpc="Subscribe",code="OK"})"), 0);
  EXPECT_EQ(scraped.Value(R"(hookgate_streams_behind{rpc="Subscribe"})"), 0);
  EXPECT_EQ(scraped.Value(R"(hookgate_streams_behind{rpc="Consume"})"), 0);
  EXPECT_EQ(scraped.Value(R"(hookgate_delivered_events_total{rpc="Subscribe"})"), 1);
  EXPECT_EQ(scraped.Value(R"(hookgate_delivered_events_total{rpc="Pull"})"), 1);
  const auto calls = [&scraped](const std::string& method, const std::string& code) {
    return scraped.Value(absl::StrCat("hookgate_rpc_duration_seconds_count{method=\"hookgate.v1.",
                                      method, "\",code=\"", code, "\"}"));
  };
  EXPECT_EQ(calls("SubscriptionService/CreateSubscription", "OK"), 1);
  EXPECT_EQ(calls("SubscriptionService/Pull", "OK"), 1);
  EXPECT_EQ(calls("SubscriptionService/GetSubscription", "OK"), 0);
  EXPECT_EQ(calls("SubscriptionService/GetSubscription", "NOT_FOUND"), 1);
  EXPECT_EQ(calls("EventService/GetEvent", "OK"), 0);
  EXPECT_EQ(calls("EventService/GetEvent", "NOT_FOUND"), -1);
}

// Somebody held the database, and everything that asked it waited: the one moment in which a scrape
// is needed.
TEST_F(MetricsTest, AScrapeIsAnsweredWhileTheDatabaseIsLocked) {
  Start();
  Create("mail");
  Store({});
  ScrapeWhen([](const Scraped& scraped) { return scraped.Has("hookgate_storage_used_bytes"); });
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((data_dir_ + "/events.db").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  HttpClient sender(gateway_->http());
  sender.Send(SignedWebhook{}.Request());
  // While the webhook waits for the disk, and then is refused.
  const Scraped locked = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Value(R"(hookgate_log_commits_total{result="busy"})") > 0 &&
           scraped.Value("hookgate_ready") == 0;
  });
  EXPECT_EQ(sender.ReadReply()->status, 503);
  EXPECT_EQ(locked.Value(R"(hookgate_not_ready{reason="store_unavailable"})"), 1);
  EXPECT_EQ(locked.Value(R"(hookgate_not_ready{reason="draining"})"), 0);
  EXPECT_EQ(locked.Value(R"(hookgate_subscription_backlog_events{subscription="mail"})"), 1);
  EXPECT_TRUE(locked.Has("hookgate_storage_used_bytes"));
  EXPECT_EQ(sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(database);
  Store({});
  EXPECT_EQ(Scrape().Value("hookgate_ready"), 1);
}

TEST_F(MetricsTest, AReloadBringsSourcesAtZeroAndSaysHowItEnded) {
  StartWithConfig(kOneSource);
  const Scraped started = Scrape();
  EXPECT_EQ(started.Value("hookgate_config_last_reload_successful"), 1);
  EXPECT_GT(started.Value("hookgate_config_last_reload_timestamp_seconds"), 1.7e9);
  Store({});
  const std::string other =
      R"(sources { name: "other" secrets { name: "b" inline: "NEW_SECRET" } })";
  Reload(absl::StrCat(kOneSource, other));
  const Scraped two = Scrape();
  EXPECT_EQ(two.Value(R"(hookgate_webhooks_total{source="openai",result="stored"})"), 1);
  EXPECT_EQ(two.Value(R"(hookgate_webhooks_total{source="other",result="stored"})"), 0);
  EXPECT_GE(two.Value("hookgate_config_last_reload_timestamp_seconds"),
            started.Value("hookgate_config_last_reload_timestamp_seconds"));
  Reload("nonsense {");
  EXPECT_EQ(Scrape().Value("hookgate_config_last_reload_successful"), 0);
  EXPECT_EQ(Scrape().Value("hookgate_config_last_reload_timestamp_seconds"),
            two.Value("hookgate_config_last_reload_timestamp_seconds"));
  Reload(kOneSource);
  const Scraped one = Scrape();
  EXPECT_EQ(one.Value("hookgate_config_last_reload_successful"), 1);
  EXPECT_FALSE(one.Mentions("source=\"other\""));
}

TEST_F(MetricsTest, TheQuarantineSaysWhyItsEntriesLeft) {
  StartWithConfig(absl::StrCat(kOneSource, "storage { quarantine { max_entries: 3 } }"));
  for (int i = 0; i < 3; ++i) Send({.body = "{"});
  v1::DiscardQuarantinedRequest request;
  request.add_ids(1);
  v1::DiscardQuarantinedResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(v1::AdminService::NewStub(
                  grpc::CreateChannel(gateway_->grpc(), grpc::InsecureChannelCredentials()))
                  ->DiscardQuarantined(&context, request, &response)
                  .ok());
  Reload(absl::StrCat(kOneSource, "storage { quarantine { max_entries: 1 } }"));
  const auto removed = [](const Scraped& scraped, const std::string& reason) {
    return scraped.Value(
        absl::StrCat("hookgate_quarantine_removed_total{reason=\"", reason, "\"}"));
  };
  const Scraped scraped = ScrapeWhen([&removed](const Scraped& scraped) {
    return removed(scraped, "number") == 1 &&
           scraped.Value(R"(hookgate_quarantine_entries{source="openai"})") == 1;
  });
  EXPECT_EQ(removed(scraped, "discarded"), 1);
  EXPECT_EQ(removed(scraped, "released"), 0);
  EXPECT_EQ(removed(scraped, "age"), 0);
}

// A log that is above its limit loses its oldest events, and a subscription those that it has not
// settled once they are too old.
TEST_F(MetricsTest, WhatRetentionRemovesIsCountedByItsReason) {
  {
    const auto log = OpenTemporaryLog(nullptr, data_dir_);
    const auto add = [&log](int count, int days, size_t bytes) {
      for (int i = 0; i < count; ++i) {
        AppendEvent(*log, {.webhook_id = absl::StrCat("wh_", log->Position().head + 1),
                           .receive_time = absl::Now() - absl::Hours(24 * days),
                           .raw_body = std::string(bytes, 'x')});
      }
    };
    // Retention rests for 20 times as long as a step took: few steps, and the first ones short.
    add(2, 100, 10);      // lost to `mail` below, and too old for all others
    add(17, 5, 4 << 20);  // too much
    add(1, 0, 10);
    ASSERT_TRUE(CreateSubscription(*log, "mail", "", absl::Now(), 0).ok());
  }
  const std::string source = kOneSource;
  StartWithConfig(source);
  const auto events = [](const Scraped& scraped, const std::string& reason) {
    return scraped.Value(
        absl::StrCat("hookgate_retention_removed_events_total{reason=\"", reason, "\"}"));
  };
  const Scraped aged = ScrapeWhen([](const Scraped& scraped) {
    return scraped.Value(R"(hookgate_subscription_lost_events_total{subscription="mail"})") == 2;
  });
  EXPECT_EQ(events(aged, "age"), 2);
  EXPECT_EQ(events(aged, "size"), 0);
  EXPECT_EQ(aged.Value("hookgate_log_earliest_sequence"), 3);
  Call(&Stub::DeleteSubscription, "name: 'mail'");
  Reload(absl::StrCat(source, "storage { max_bytes: 67108864 }"));
  const Scraped trimmed =
      ScrapeWhen([&](const Scraped& scraped) { return events(scraped, "size") > 0; });
  EXPECT_EQ(events(trimmed, "age"), 2);
  EXPECT_EQ(trimmed.Value("hookgate_storage_limit_bytes"), 67108864);
}

TEST_F(MetricsTest, TheConfigBoundsWhatSubscriptionsAdd) {
  StartWithConfig(
      absl::StrCat(kOneSource, "metrics { subscription_histograms: false max_subscriptions: 2 }"));
  for (const char* name : {"c", "b", "a"}) Create(name);
  const Scraped scraped = Scrape();
  EXPECT_EQ(scraped.Value("hookgate_subscriptions"), 3);
  EXPECT_EQ(scraped.Value("hookgate_subscriptions_uncounted"), 1);
  EXPECT_TRUE(scraped.Has(Settled("c", "acked")));
  EXPECT_TRUE(scraped.Has(Settled("b", "acked")));
  EXPECT_FALSE(scraped.Mentions("subscription=\"a\""));
  EXPECT_FALSE(scraped.Mentions("hookgate_subscription_ack_latency_seconds"));
}

TEST_F(MetricsTest, ACertificateSaysWhenItExpires) {
  const TestAuthority authority;
  const TestCertificate certificate = authority.Issue();
  StartWithConfig(HttpsConfig(WriteFile(certificate.certificate), WriteFile(certificate.key)));
  const Scraped scraped = Scrape();
  EXPECT_GT(scraped.Value(R"(hookgate_tls_certificate_expiry_timestamp_seconds{listener="http"})"),
            absl::ToUnixSeconds(absl::Now()));
  EXPECT_FALSE(
      scraped.Has(R"(hookgate_tls_certificate_expiry_timestamp_seconds{listener="grpc"})"));
}

// Prometheus' own check of names, types and helps.
TEST_F(MetricsTest, PromtoolHasNothingToSay) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool is not installed (bazel/check --install)";
  }
  Start();
  Create("mail");
  Store({});
  const std::string scrape = WriteFile(Ask().body);
  const std::string said = FreshTestFile("promtool");
  const int status =
      std::system(absl::StrCat("promtool check metrics <", scrape, " >", said, " 2>&1").c_str());
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ReadTestFile(said), "");
}

}  // namespace
}  // namespace hookgate
