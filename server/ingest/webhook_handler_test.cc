// Every answer that a sender can get, and what is stored, counted and logged with it.

#include "server/ingest/webhook_handler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "hookgate/v1/event.pb.h"
#include "server/base/logging.h"
#include "server/base/proto_time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/eventlog/compose_event.h"
#include "server/ingest/fake_head.h"
#include "server/metrics/metric_registry.h"
#include "server/status/status_book.h"
#include "server/trace/trace_context.h"
#include "tests/support/fake_clock.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A real log that can be made to refuse, and remembers what went into quarantine.
class TestLog final : public EventLog {
 public:
  absl::Status refuse_appends;
  absl::Status refuse_quarantine;
  std::vector<QuarantinedWebhook> quarantine;

  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override {
    if (!refuse_appends.ok()) return std::move(done)(refuse_appends);
    log_->Append(std::move(event), std::move(done));
  }
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override {
    if (!refuse_quarantine.ok()) return std::move(done)(refuse_quarantine);
    quarantine.push_back(*webhook);
    log_->Quarantine(std::move(webhook), std::move(done));
  }
  absl::Status Health() const override { return log_->Health(); }
  const std::string& epoch() const override { return log_->epoch(); }
  const EventLogHistory& history() const override { return log_->history(); }
  EventLogPosition Position() const override { return log_->Position(); }
  absl::StatusOr<EventPage> Read(Sequence after, EventPredicate matches,
                                 const ReadLimits& limits) override {
    return log_->Read(after, matches, limits);
  }
  absl::StatusOr<Sequence> Scan(Sequence after, absl::optional<EventPredicate> matches,
                                const ReadLimits& limits, EventVisitor visit) override {
    return log_->Scan(after, matches, limits, visit);
  }
  absl::StatusOr<absl::optional<Sequence>> FirstAtOrAfter(absl::Time time) override {
    return log_->FirstAtOrAfter(time);
  }
  absl::StatusOr<ListPage> List(const ListQuery& query, EventPredicate matches,
                                const ReadLimits& limits) override {
    return log_->List(query, matches, limits);
  }
  absl::StatusOr<EventCount> CountFailures(const ListQuery& query,
                                           absl::optional<EventPredicate> matches,
                                           int64_t limit) override {
    return log_->CountFailures(query, matches, limit);
  }
  absl::StatusOr<StoredEventPtr> Get(Sequence sequence) override { return log_->Get(sequence); }
  absl::StatusOr<StoredEventPtr> Find(absl::string_view source,
                                      absl::string_view webhook_id) override {
    return log_->Find(source, webhook_id);
  }

 private:
  const std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog();
};

std::string FieldOf(const HttpResponse& response, absl::string_view name) {
  for (const auto& [field, value] : response.fields) {
    if (field == name) return value;
  }
  return "";
}

std::string CodeOf(const HttpResponse& response) {
  return std::string(boost::json::parse(response.body).at("code").as_string());
}

std::string DetailOf(const HttpResponse& response) {
  return std::string(boost::json::parse(response.body).at("detail").as_string());
}

class WebhookHandlerTest : public testing::Test {
 protected:
  void SetUp() override { Configure({Source()}); }

  static WebhookSource Source(const std::vector<std::string>& secrets = {kTestSecret}) {
    WebhookSource source;
    source.name = "openai";
    for (const std::string& secret : secrets) {
      source.secrets.push_back(*Secret::Parse("test", secret));
    }
    return source;
  }
  void Configure(const std::vector<WebhookSource>& sources,
                 const std::vector<Network>& trusted_proxies = {}) {
    handler_.reset();
    sources_.reset();
    book_ = std::make_unique<StatusBook>(clock_);
    sources_ = std::make_unique<SourceRegistry>(sources, *book_, metrics_, clock_);
    handler_ = std::make_unique<WebhookHandler>(*sources_, log_, book_->counters(), metrics_,
                                                clock_, trusted_proxies, &refused_);
  }
  // Whether a scrape has this line.
  bool HasMetric(const std::string& line) {
    return absl::StrContains(metrics_.Write(MetricFormat::kText), absl::StrCat("\n", line, "\n"));
  }
  const IngestCounters& counters() const { return book_->counters(); }

  // A right webhook of now.
  SignedWebhook Webhook() {
    SignedWebhook webhook;
    webhook.webhook_time = clock_.WallNow();
    return webhook;
  }
  // As the connection layer would.
  HttpResponse Send(const FakeHead& head, const std::string& body) {
    absl::optional<HttpResponse> answer = handler_->CheckHead(head);
    if (answer.has_value()) return *std::move(answer);
    absl::Notification answered;
    HttpResponse response;
    handler_->Handle(head, body, clock_.WallNow(), [&](HttpResponse given) {
      response = std::move(given);
      answered.Notify();
    });
    answered.WaitForNotification();
    return response;
  }
  HttpResponse Send(SignedWebhook webhook) {
    FakeHead::Fields fields = webhook.SignedFields();
    fields.insert(fields.end(), webhook.more_fields.begin(), webhook.more_fields.end());
    return Send(FakeHead::To(absl::StrCat("/webhooks/", webhook.source), fields), webhook.body);
  }

  void ExpectRefused(const HttpResponse& response, int status, absl::string_view code) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_EQ(CodeOf(response), code) << response.body;
    EXPECT_EQ(FieldOf(response, "Retry-After").empty(), status != 429 && status != 503);
  }
  void ExpectNothingIsStored() {
    EXPECT_EQ(log_.Position().head, 0);
    EXPECT_THAT(log_.quarantine, IsEmpty());
  }

  FakeClock clock_;
  TestLog log_;
  RefusedRequests refused_;
  MetricRegistry metrics_;
  std::unique_ptr<StatusBook> book_;
  std::unique_ptr<SourceRegistry> sources_;
  std::unique_ptr<WebhookHandler> handler_;
};

// The operator had to ask GetStatus, and got one number for all sources together.
TEST_F(WebhookHandlerTest, EveryAnswerIsCountedOnceByItsSourceAndResult) {
  EXPECT_TRUE(HasMetric("hookgate_webhooks_total{source=\"openai\",result=\"stored\"} 0"));
  EXPECT_TRUE(HasMetric("hookgate_webhooks_refused_total{source=\"\",code=\"unknown_source\"} 0"));
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  Send(webhook);
  Send(webhook);
  webhook.body = BatchFailedBody("another");
  Send(webhook);
  SignedWebhook undecodable = Webhook();
  undecodable.body = "{";
  Send(undecodable);
  SignedWebhook forged = Webhook();
  forged.secret = kWrongSecret;
  Send(forged);
  SignedWebhook stray = Webhook();
  stray.source = "nobody\"} 1";
  Send(stray);
  log_.refuse_appends = ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull, "full");
  Send(Webhook());
  // Before its body was read, by the connection layer.
  handler_->Refuse(HttpRefusal::kBodyTooLarge, "larger", FakeHead::To("/webhooks/openai", {}));
  for (const char* line : {
           "hookgate_webhooks_total{source=\"openai\",result=\"stored\"} 1",
           "hookgate_webhooks_total{source=\"openai\",result=\"duplicate\"} 1",
           "hookgate_webhooks_total{source=\"openai\",result=\"conflict\"} 1",
           "hookgate_webhooks_total{source=\"openai\",result=\"quarantined\"} 1",
           "hookgate_webhooks_total{source=\"openai\",result=\"refused\"} 3",
           "hookgate_webhooks_total{source=\"\",result=\"refused\"} 1",
           "hookgate_webhooks_refused_total{source=\"openai\",code=\"signature_mismatch\"} 1",
           "hookgate_webhooks_refused_total{source=\"openai\",code=\"queue_full\"} 1",
           "hookgate_webhooks_refused_total{source=\"openai\",code=\"body_too_large\"} 1",
           "hookgate_webhooks_refused_total{source=\"openai\",code=\"other\"} 0",
           "hookgate_webhook_delay_seconds_count{source=\"openai\"} 1",
       }) {
    EXPECT_TRUE(HasMetric(line)) << line;
  }
  EXPECT_FALSE(absl::StrContains(metrics_.Write(MetricFormat::kText), "nobody"));
}

TEST_F(WebhookHandlerTest, HowLongAnAnswerTookIsCountedOnceItIsWritten) {
  constexpr char kCount[] =
      "hookgate_webhook_duration_seconds_count{source=\"openai\",result=\"stored\"} ";
  const HttpResponse response = Send(Webhook());
  EXPECT_TRUE(HasMetric(absl::StrCat(kCount, 0)));
  ASSERT_NE(response.watch, nullptr);
  response.watch->OnWritten(absl::Milliseconds(2));
  EXPECT_TRUE(HasMetric(absl::StrCat(kCount, 1)));
  EXPECT_TRUE(HasMetric(
      "hookgate_webhook_duration_seconds_bucket{source=\"openai\",result=\"stored\",le=\"0.0025\"} "
      "1"));
}

// An event that says it is from the year 1, or from the future, made the sum useless for good.
TEST_F(WebhookHandlerTest, ADelayIsNotBelievedBeyondReason) {
  SignedWebhook old = Webhook();
  old.body =
      R"({"id":"evt","type":"batch.failed","created_at":-9223372036854775808,"data":{"id":"b"}})";
  EXPECT_EQ(Send(old).status, 200);
  SignedWebhook early = Webhook();
  early.body =
      R"({"id":"evt","type":"batch.failed","created_at":9223372036854775807,"data":{"id":"b"}})";
  EXPECT_EQ(Send(early).status, 200);
  EXPECT_TRUE(HasMetric(absl::StrCat("hookgate_webhook_delay_seconds_sum{source=\"openai\"} ",
                                     absl::ToInt64Seconds(SourceMetrics::kMaxDelay))));
}

TEST_F(WebhookHandlerTest, ASourceThatStaysInTheConfigGoesOnCounting) {
  Send(Webhook());
  WebhookSource other = Source();
  other.name = "other";
  sources_->Replace({Source(), other});
  Send(Webhook());
  EXPECT_TRUE(HasMetric("hookgate_webhooks_total{source=\"openai\",result=\"stored\"} 2"));
  EXPECT_TRUE(HasMetric("hookgate_webhooks_total{source=\"other\",result=\"stored\"} 0"));
  sources_->Replace({Source()});
  EXPECT_FALSE(absl::StrContains(metrics_.Write(MetricFormat::kText), "\"other\",result"));
}

// How many were refused was one number: nobody saw for what.
TEST_F(WebhookHandlerTest, RefusalsAreCountedByWhatTheSenderIsTold) {
  SignedWebhook forged = Webhook();
  forged.secret = kWrongSecret;
  ExpectRefused(Send(forged), 401, "signature_mismatch");
  ExpectRefused(Send(FakeHead::To("/webhooks/nobody"), ""), 404, "unknown_source");
  log_.refuse_appends = absl::UnavailableError("disk is full");
  for (int i = 0; i < 2; ++i) ExpectRefused(Send(Webhook()), 503, "store_unavailable");
  handler_->Refuse(HttpRefusal::kBodyTooLarge, "", FakeHead::With({}));
  EXPECT_THAT(
      counters().RefusedByReason(),
      ElementsAre(testing::Pair("store_unavailable", 2), testing::Pair("body_too_large", 1),
                  testing::Pair("unknown_source", 1), testing::Pair("signature_mismatch", 1)));
  // A webhook whose signature holds has come, whatever becomes of it; a stranger's request is none.
  const SourceStatus source = sources_->Find("openai")->records().source();
  EXPECT_EQ(source.webhooks, 2);
  EXPECT_EQ(source.last_webhook, absl::optional<absl::Time>(clock_.WallNow()));
}

// What was refused was known from log lines alone, of which there is one a second.
TEST_F(WebhookHandlerTest, RefusalsAreRememberedWithWhatIsKnownOfThem) {
  SignedWebhook forged = Webhook();
  forged.secret = kWrongSecret;
  forged.webhook_id = "wh_forged";
  forged.more_fields = {{"Cookie", "hush"}};
  ExpectRefused(Send(forged), 401, "signature_mismatch");
  ASSERT_EQ(refused_.size(), 1u);
  const RefusedRequest& request = *refused_.FindById("wh_forged").at(0);
  EXPECT_EQ(request.source, "openai");
  EXPECT_EQ(request.path, "");
  EXPECT_EQ(request.code, "signature_mismatch");
  EXPECT_EQ(request.peer, FakeHead::With({}).peer());
  EXPECT_EQ(request.client, request.peer);
  EXPECT_EQ(request.last_time, clock_.WallNow());
  EXPECT_EQ(request.header_count, 4);
  ASSERT_EQ(request.headers.size(), 4u);
  EXPECT_EQ(request.headers[3].name, "Cookie");
  EXPECT_EQ(request.headers[3].bytes, 4);
  clock_.Advance(absl::Seconds(5));
  forged.webhook_time = clock_.WallNow();
  ExpectRefused(Send(forged), 401, "signature_mismatch");
  ASSERT_EQ(refused_.size(), 1u);
  EXPECT_EQ(refused_.List({})[0]->count, 2);
}

TEST_F(WebhookHandlerTest, EveryKindOfRefusalIsRememberedAndNothingElse) {
  const auto newest = [this] { return refused_.List({.max_entries = 1}).at(0); };
  // What the path names is no source, and its query may hold a token.
  ExpectRefused(Send(FakeHead::To("/webhooks/nobody?token=hush", {{"svix-id", "wh 1"}}), ""), 404,
                "unknown_source");
  EXPECT_EQ(newest()->source, "");
  EXPECT_EQ(newest()->path, "/webhooks/nobody");
  EXPECT_EQ(newest()->webhook_id, "wh 1");
  ExpectRefused(Send(FakeHead::To("/", {}), ""), 404, "not_found");
  EXPECT_EQ(newest()->path, "/");
  // Of the connection layer, with the source if it came as far as that.
  handler_->Refuse(HttpRefusal::kBodyTooLarge, "too large", FakeHead::To("/webhooks/openai", {}));
  EXPECT_EQ(newest()->code, "body_too_large");
  EXPECT_EQ(newest()->source, "openai");
  handler_->Refuse(HttpRefusal::kTooManyConnections, "too many", FakeHead::To("", {}));
  EXPECT_EQ(newest()->code, "too_many_connections");
  EXPECT_EQ(newest()->path, "");
  // Signed: the sender is told nothing of the disk, the operator is.
  log_.refuse_appends = absl::UnavailableError("disk is full");
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_unlucky";
  ExpectRefused(Send(webhook), 503, "store_unavailable");
  EXPECT_EQ(newest()->code, "store_unavailable");
  EXPECT_EQ(newest()->webhook_id, "wh_unlucky");
  EXPECT_THAT(newest()->detail, HasSubstr("disk is full"));
  log_.refuse_appends = absl::OkStatus();
  EXPECT_EQ(refused_.size(), 5u);
  // Stored, repeated, and in quarantine: none of them is refused.
  webhook.webhook_id = "wh_fine";
  EXPECT_EQ(Send(webhook).status, 200);
  EXPECT_EQ(Send(webhook).status, 200);
  webhook.webhook_id = "wh_bad";
  webhook.body = "{";
  EXPECT_EQ(Send(webhook).status, 400);
  EXPECT_EQ(refused_.size(), 5u);
}

TEST_F(WebhookHandlerTest, ARefusalSaysWhomATrustedProxyNamed) {
  Configure({Source()}, {*Network::Parse(std::string(FakeHead::With({}).peer()))});
  SignedWebhook forged = Webhook();
  forged.secret = kWrongSecret;
  forged.more_fields = {{"X-Forwarded-For", "198.51.100.7"}};
  ExpectRefused(Send(forged), 401, "signature_mismatch");
  EXPECT_EQ(refused_.List({})[0]->peer, FakeHead::With({}).peer());
  EXPECT_EQ(refused_.List({})[0]->client, "198.51.100.7");
}

// --- 200 --------------------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, NewWebhookIsStoredAsATypedEvent) {
  clock_.Advance(absl::Microseconds(250) + absl::Nanoseconds(7));
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  webhook.webhook_time -= absl::Seconds(3);
  const HttpResponse response = Send(webhook);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.body, R"({"status":"stored","sequence":"1"})");

  const absl::Time received = absl::FromUnixMicros(absl::ToUnixMicros(clock_.WallNow()));
  const auto stored = log_.Find("openai", "wh_1");
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ((*stored)->type, "batch.failed");
  EXPECT_EQ((*stored)->subject, "batch_1");
  EXPECT_TRUE((*stored)->failure);
  EXPECT_EQ((*stored)->receive_time, received);
  EXPECT_EQ((*stored)->raw_body, webhook.body);

  hookgate::v1::Event event;
  ASSERT_TRUE(event.ParseFromString((*stored)->envelope));
  EXPECT_EQ(event.source(), "openai");
  EXPECT_EQ(event.webhook_id(), "wh_1");
  EXPECT_EQ(event.type(), "batch.failed");
  EXPECT_EQ(event.subject(), "batch_1");
  EXPECT_EQ(*FromProto(event.webhook_time(), ""), absl::FromUnixSeconds(1'749'999'997));
  EXPECT_EQ(*FromProto(event.receive_time(), ""), received);
  EXPECT_EQ(event.durability(), hookgate::v1::DURABILITY_LOCAL_DISK);
  EXPECT_EQ(event.batch_failed().data().id(), "batch_1");
  EXPECT_EQ(counters().stored, 1);
  EXPECT_EQ(counters().refused(), 0);
}

// OpenAI repeats a webhook with the same id, but with a new timestamp and signature.
TEST_F(WebhookHandlerTest, RepeatIsADuplicateHoweverLateItComes) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  EXPECT_EQ(Send(webhook).body, R"({"status":"stored","sequence":"1"})");
  clock_.Advance(absl::Hours(72));
  webhook.webhook_time = clock_.WallNow();
  const HttpResponse response = Send(webhook);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"status":"duplicate","sequence":"1"})");
  EXPECT_EQ(log_.Position().head, 1);
  EXPECT_EQ(counters().stored, 1);
  EXPECT_EQ(counters().duplicates, 1);
  EXPECT_EQ(counters().conflicts, 0);
}

TEST_F(WebhookHandlerTest, RepeatWithAnotherBodyIsAnsweredAsADuplicateAndTheFirstIsKept) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  webhook.body = BatchFailedBody("first");
  EXPECT_EQ(Send(webhook).status, 200);
  webhook.body = BatchFailedBody("second");
  testing::internal::CaptureStderr();
  const HttpResponse response = Send(webhook);
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"status":"duplicate","sequence":"1"})");
  EXPECT_EQ((*log_.Get(1))->subject, "first");
  EXPECT_EQ(log_.Position().head, 1);
  EXPECT_EQ(counters().conflicts, 1);
  EXPECT_EQ(counters().duplicates, 0);
  EXPECT_THAT(log, HasSubstr("another body"));
  EXPECT_THAT(log, HasSubstr("webhook_id=wh_1"));
}

TEST_F(WebhookHandlerTest, SameIdFromAnotherSourceIsAnotherEvent) {
  WebhookSource staging = Source();
  staging.name = "staging";
  Configure({Source(), staging});
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  EXPECT_EQ(Send(webhook).body, R"({"status":"stored","sequence":"1"})");
  webhook.source = "staging";
  EXPECT_EQ(Send(webhook).body, R"({"status":"stored","sequence":"2"})");
}

TEST_F(WebhookHandlerTest, UnknownTypeIsStoredWithItsJson) {
  SignedWebhook webhook = Webhook();
  webhook.body = R"({"type":"batch.reconsidered","data":{"id":"b"},"more":[1]})";
  EXPECT_EQ(Send(webhook).status, 200);
  hookgate::v1::Event event;
  ASSERT_TRUE(event.ParseFromString((*log_.Get(1))->envelope));
  EXPECT_EQ(event.type(), "batch.reconsidered");
  EXPECT_EQ(event.unrecognized().raw_json(), webhook.body);
  EXPECT_EQ(event.subject(), "b");
}

TEST_F(WebhookHandlerTest, SvixNamesAreTakenAlsoBesideTheOthers) {
  SignedWebhook webhook = Webhook();
  webhook.header_prefix = "svix-";
  EXPECT_EQ(Send(webhook).status, 200);
  webhook.header_prefix = "Webhook-";
  EXPECT_EQ(Send(webhook).status, 200);

  FakeHead::Fields mixed = webhook.SignedFields();
  mixed[1].first = "svix-timestamp";
  mixed.emplace_back("svix-id", mixed[0].second);
  EXPECT_EQ(Send(FakeHead::With(mixed), webhook.body).status, 200);
}

TEST_F(WebhookHandlerTest, EitherSecretMaySignWhileOneIsBeingRotated) {
  Configure({Source({kTestSecret, kOtherSecret})});
  for (const char* secret : {kTestSecret, kOtherSecret}) {
    SignedWebhook webhook = Webhook();
    webhook.secret = secret;
    EXPECT_EQ(Send(webhook).status, 200);
  }
  Configure({Source({kOtherSecret})});
  ExpectRefused(Send(Webhook()), 401, reason::kSignatureMismatch);
}

TEST_F(WebhookHandlerTest, SecretOfOneSourceDoesNotSignForAnother) {
  WebhookSource staging = Source({kOtherSecret});
  staging.name = "staging";
  Configure({Source(), staging});
  SignedWebhook webhook = Webhook();
  webhook.source = "staging";
  ExpectRefused(Send(webhook), 401, reason::kSignatureMismatch);
  webhook.secret = kOtherSecret;
  EXPECT_EQ(Send(webhook).status, 200);
}

// --- Traces -----------------------------------------------------------------------------------

constexpr char kSendersTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class WebhookTraceTest : public WebhookHandlerTest {
 protected:
  hookgate::v1::Event Stored(Sequence sequence) {
    hookgate::v1::Event event;
    EXPECT_TRUE(event.ParseFromString((*log_.Get(sequence))->envelope));
    return event;
  }
};

TEST_F(WebhookTraceTest, EachEventHasATraceOfItsOwn) {
  Send(Webhook());
  Send(Webhook());
  const std::string first = Stored(1).trace_parent();
  EXPECT_THAT(ReadTraceParent(first), testing::Optional(first));
  EXPECT_NE(TraceIdOf(first), TraceIdOf(Stored(2).trace_parent()));
  EXPECT_EQ(Stored(1).sender_trace_parent(), "");
  EXPECT_EQ(Stored(1).sender_trace_state(), "");
}

// The header is not signed: whoever could set it would decide which traces are recorded, and what
// else seems to belong to one.
TEST_F(WebhookTraceTest, TheSendersTraceIsKeptBesideItAndNotGoneOnWith) {
  SignedWebhook webhook = Webhook();
  webhook.more_fields = {{"Traceparent", kSendersTrace}, {"tracestate", "vendor=1"}};
  EXPECT_EQ(Send(webhook).status, 200);
  EXPECT_EQ(Stored(1).sender_trace_parent(), kSendersTrace);
  EXPECT_EQ(Stored(1).sender_trace_state(), "vendor=1");
  EXPECT_NE(TraceIdOf(Stored(1).trace_parent()), TraceIdOf(kSendersTrace));
}

TEST_F(WebhookTraceTest, AHeaderThatIsNotValidRefusesNoWebhook) {
  SignedWebhook webhook = Webhook();
  webhook.more_fields = {{"traceparent", "00-\xff"}, {"tracestate", std::string(4000, '=')}};
  EXPECT_EQ(Send(webhook).status, 200);
  EXPECT_NE(Stored(1).trace_parent(), "");
  EXPECT_EQ(Stored(1).sender_trace_parent(), "");
}

TEST_F(WebhookTraceTest, ARepeatKeepsTheFirstTraceAndIsLoggedWithIt) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  webhook.more_fields = {{"traceparent", kSendersTrace}};
  Send(webhook);
  const hookgate::v1::Event stored = Stored(1);
  const std::string trace_id(TraceIdOf(stored.trace_parent()));
  webhook.more_fields.clear();
  testing::internal::CaptureStderr();
  SetLeastSeverity(Severity::kDebug);
  Send(webhook);
  webhook.body = BatchFailedBody("another");
  Send(webhook);
  SetLeastSeverity(Severity::kInfo);
  const std::vector<std::string> lines =
      absl::StrSplit(testing::internal::GetCapturedStderr(), '\n', absl::SkipEmpty());
  EXPECT_THAT(lines, ElementsAre(HasSubstr("trace_id=" + trace_id), HasSubstr("another body")));
  EXPECT_THAT(lines.back(), HasSubstr("trace_id=" + trace_id));
  EXPECT_EQ(Stored(1).SerializeAsString(), stored.SerializeAsString());
}

TEST_F(WebhookTraceTest, WhatGoesIntoQuarantineTakesItsTraceWithIt) {
  SignedWebhook webhook = Webhook();
  webhook.body = "not json";
  webhook.more_fields = {{"traceparent", kSendersTrace}};
  Send(webhook);
  ASSERT_EQ(log_.quarantine.size(), 1u);
  const EventTrace trace = ParseTrace(log_.quarantine[0].trace);
  EXPECT_THAT(ReadTraceParent(trace.trace_parent), testing::Optional(trace.trace_parent));
  EXPECT_EQ(trace.sender_trace_parent, kSendersTrace);
}

TEST_F(WebhookTraceTest, AsManyAreSampledAsTheConfigSays) {
  handler_->trace_parents().SetSampleRatio(0);
  Send(Webhook());
  EXPECT_THAT(Stored(1).trace_parent(), testing::EndsWith("-00"));
  handler_->trace_parents().SetSampleRatio(1);
  Send(Webhook());
  EXPECT_THAT(Stored(2).trace_parent(), testing::EndsWith("-01"));
}

// --- 400 and 422 ------------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, SignedBodyThatIsNoJsonIsRefusedAndKept) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  webhook.body = "not json";
  ExpectRefused(Send(webhook), 400, reason::kBodyNotJson);
  ASSERT_EQ(log_.quarantine.size(), 1u);
  const QuarantinedWebhook& kept = log_.quarantine[0];
  EXPECT_EQ(kept.source, "openai");
  EXPECT_EQ(kept.webhook_id, "wh_1");
  EXPECT_EQ(kept.webhook_time, clock_.WallNow());
  EXPECT_EQ(kept.receive_time, clock_.WallNow());
  EXPECT_EQ(kept.reason, reason::kBodyNotJson);
  EXPECT_EQ(kept.raw_body, "not json");
  EXPECT_EQ(log_.Position().head, 0);
  EXPECT_EQ(counters().quarantined, 1);
  EXPECT_EQ(counters().refused(), 0);
}

TEST_F(WebhookHandlerTest, SignedJsonOfAnotherShapeIsRefusedByItsFieldAndKept) {
  SignedWebhook webhook = Webhook();
  webhook.body = R"({"id":"evt_1","created_at":1,"type":"batch.failed","data":{"id":7}})";
  const HttpResponse response = Send(webhook);
  ExpectRefused(response, 422, reason::kInvalidEvent);
  EXPECT_THAT(DetailOf(response), testing::StartsWith("data.id: "));
  ASSERT_EQ(log_.quarantine.size(), 1u);
  EXPECT_EQ(log_.quarantine[0].reason, reason::kInvalidEvent);
  EXPECT_EQ(log_.quarantine[0].detail, DetailOf(response));
  EXPECT_EQ(log_.quarantine[0].raw_body, webhook.body);
}

TEST_F(WebhookHandlerTest, WhatCannotBeKeptIsToBeSentAgain) {
  log_.refuse_quarantine =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable, "disk is full");
  SignedWebhook webhook = Webhook();
  webhook.body = "not json";
  ExpectRefused(Send(webhook), 503, reason::kStoreUnavailable);
  EXPECT_EQ(counters().quarantined, 0);
  EXPECT_EQ(counters().refused(), 1);
}

// --- 401 --------------------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, UnprovenWebhooksAreRefusedByReasonAndNotStored) {
  SignedWebhook webhook = Webhook();
  const FakeHead::Fields right = webhook.SignedFields();
  // The right fields, but field `index` is called `name` and is `value`; without it if `name` is
  // "".
  const auto with = [&](size_t index, const std::string& name, const std::string& value) {
    FakeHead::Fields fields = right;
    if (name.empty()) {
      fields.erase(fields.begin() + static_cast<ptrdiff_t>(index));
    } else {
      fields[index] = {name, value};
    }
    return fields;
  };
  const auto at = [&](absl::Duration age) {
    SignedWebhook other = Webhook();
    other.webhook_time -= age;
    return other.SignedFields();
  };
  FakeHead::Fields conflicting = right;
  conflicting.emplace_back("svix-id", "another");
  const struct {
    FakeHead::Fields fields;
    const char* code;
  } cases[] = {
      {{}, reason::kMissingHeader},
      {with(0, "", ""), reason::kMissingHeader},
      {with(1, "", ""), reason::kMissingHeader},
      {with(2, "", ""), reason::kMissingHeader},
      {with(0, "webhook-id", ""), reason::kMalformedHeader},
      {with(0, "webhook-id", std::string(257, 'x')), reason::kMalformedHeader},
      {with(0, "webhook-id", "a b"), reason::kMalformedHeader},
      {with(1, "webhook-timestamp", "now"), reason::kMalformedHeader},
      {with(1, "webhook-timestamp", "-1"), reason::kMalformedHeader},
      {with(2, "webhook-signature", std::string(5000, 'x')), reason::kMalformedHeader},
      {conflicting, reason::kConflictingHeaders},
      {at(absl::Seconds(301)), reason::kTimestampTooOld},
      {at(absl::Seconds(-301)), reason::kTimestampTooNew},
      {with(0, "webhook-id", "another"), reason::kSignatureMismatch},
      {with(1, "webhook-timestamp", "1750000001"), reason::kSignatureMismatch},
      {with(2, "webhook-signature", "v1,AAAA"), reason::kSignatureMismatch},
      {with(2, "webhook-signature", ""), reason::kSignatureMismatch},
      {with(2, "webhook-signature", "v1a,AAAA"), reason::kSignatureMismatch},
  };
  int refused = 0;
  for (const auto& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.code, " ", ++refused));
    ExpectRefused(Send(FakeHead::With(c.fields), webhook.body), 401, c.code);
    EXPECT_EQ(counters().refused(), refused);
  }
  ExpectRefused(Send(FakeHead::With(right), webhook.body + " "), 401, reason::kSignatureMismatch);
  ExpectNothingIsStored();
  EXPECT_EQ(Send(FakeHead::With(right), webhook.body).status, 200);
}

TEST_F(WebhookHandlerTest, ToleranceIsTheSourcesAndInclusive) {
  WebhookSource source = Source();
  source.timestamp_tolerance = absl::Seconds(10);
  Configure({source});
  for (int seconds : {-10, 10}) {
    SignedWebhook webhook = Webhook();
    webhook.webhook_time += absl::Seconds(seconds);
    EXPECT_EQ(Send(webhook).status, 200);
    webhook.webhook_time += absl::Seconds(seconds > 0 ? 1 : -1);
    EXPECT_EQ(Send(webhook).status, 401);
  }
}

// --- 404, 405, 415 ----------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, OtherPathsAndSourcesAreNotFoundBeforeTheirBodyIsRead) {
  SignedWebhook webhook = Webhook();
  const auto refused = [&](const std::string& target) {
    const auto response = handler_->CheckHead(FakeHead::To(target, webhook.SignedFields()));
    return response.has_value() ? *response : HttpResponse();
  };
  ExpectRefused(refused("/"), 404, reason::kNotFound);
  ExpectRefused(refused("/webhooks/openai/more"), 404, reason::kNotFound);
  ExpectRefused(refused("/webhooks/stranger"), 404, reason::kUnknownSource);
  ExpectRefused(refused("/webhooks/OpenAI"), 404, reason::kUnknownSource);
  ExpectNothingIsStored();
}

TEST_F(WebhookHandlerTest, OnlyPostIsTaken) {
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "post"}) {
    const auto response =
        handler_->CheckHead(FakeHead::To("/webhooks/openai", Webhook().SignedFields(), method));
    ASSERT_TRUE(response.has_value()) << method;
    ExpectRefused(*response, 405, reason::kMethodNotAllowed);
    EXPECT_EQ(FieldOf(*response, "Allow"), "POST");
  }
  EXPECT_EQ(counters().refused(), 5);
}

TEST_F(WebhookHandlerTest, EncodedBodyIsNotTaken) {
  SignedWebhook webhook = Webhook();
  webhook.more_fields = {{"Content-Encoding", "gzip"}};
  ExpectRefused(Send(webhook), 415, reason::kEncodedBody);
  ExpectNothingIsStored();
  webhook.more_fields = {{"Content-Encoding", "identity"}};
  EXPECT_EQ(Send(webhook).status, 200);
}

// --- 403 --------------------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, OtherAddressesAreRefusedByTheHead) {
  WebhookSource source = Source();
  source.allowed_networks = {*Network::Parse("192.0.2.0/24"), *Network::Parse("2001:db8::1")};
  Configure({source});
  FakeHead head = FakeHead::With(Webhook().SignedFields());
  for (const char* peer : {"192.0.3.1", "::ffff:192.0.3.1", "2001:db8::2", "fe80::1%1", ""}) {
    head.set_peer(peer);
    const auto refused = handler_->CheckHead(head);
    ASSERT_TRUE(refused.has_value()) << peer;
    ExpectRefused(*refused, 403, reason::kAddressNotAllowed);
  }
  EXPECT_EQ(counters().refused(), 5);
  for (const char* peer : {"192.0.2.1", "::ffff:192.0.2.255", "2001:db8::1"}) {
    head.set_peer(peer);
    EXPECT_EQ(handler_->CheckHead(head), absl::nullopt) << peer;
  }
  ExpectNothingIsStored();
}

TEST_F(WebhookHandlerTest, SourceThatIsReplacedWhileTheBodyComesAdmitsOnlyItsOwnAddresses) {
  SignedWebhook webhook = Webhook();
  FakeHead head = FakeHead::With(webhook.SignedFields());
  head.set_peer("192.0.3.1");
  ASSERT_EQ(handler_->CheckHead(head), absl::nullopt);
  WebhookSource source = Source();
  source.allowed_networks = {*Network::Parse("192.0.2.0/24")};
  sources_->Replace({source});
  HttpResponse answer;
  handler_->Handle(head, webhook.body, clock_.WallNow(),
                   [&](HttpResponse response) { answer = std::move(response); });
  ExpectRefused(answer, 403, reason::kAddressNotAllowed);
  ExpectNothingIsStored();
}

// --- 429 and 503 ------------------------------------------------------------------------------

TEST_F(WebhookHandlerTest, WebhooksAboveTheRateAreToBeSentLater) {
  WebhookSource limited = Source();
  limited.rate_limit = RateLimit{.per_second = 0.1, .burst = 2};
  WebhookSource other = Source();
  other.name = "other";
  Configure({limited, other});
  EXPECT_EQ(Send(Webhook()).status, 200);
  EXPECT_EQ(Send(Webhook()).status, 200);
  const HttpResponse response = Send(Webhook());
  ExpectRefused(response, 429, reason::kRateLimited);
  EXPECT_EQ(FieldOf(response, "Retry-After"), "10");
  EXPECT_EQ(log_.Position().head, 2);

  SignedWebhook elsewhere = Webhook();
  elsewhere.source = "other";
  EXPECT_EQ(Send(elsewhere).status, 200);
  clock_.Advance(absl::Milliseconds(9500));
  EXPECT_EQ(FieldOf(Send(Webhook()), "Retry-After"), "1");
  clock_.Advance(absl::Milliseconds(500));
  EXPECT_EQ(Send(Webhook()).status, 200);
}

TEST_F(WebhookHandlerTest, UnsignedRequestsDoNotUseUpTheRate) {
  WebhookSource source = Source();
  source.rate_limit = RateLimit{.per_second = 1, .burst = 1};
  Configure({source});
  SignedWebhook forged = Webhook();
  forged.secret = kOtherSecret;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Send(forged).status, 401);
  EXPECT_EQ(Send(Webhook()).status, 200);
}

TEST_F(WebhookHandlerTest, WhatTheLogDoesNotTakeIsToBeSentAgain) {
  for (const char* reason : {reason::kQueueFull, reason::kStoreUnavailable}) {
    log_.refuse_appends = ErrorWithReason(absl::StatusCode::kUnavailable, reason, "no");
    ExpectRefused(Send(Webhook()), 503, reason);
  }
  EXPECT_EQ(counters().refused(), 2);
  EXPECT_EQ(counters().stored, 0);
  log_.refuse_appends = absl::OkStatus();
  EXPECT_EQ(Send(Webhook()).body, R"({"status":"stored","sequence":"1"})");
}

// Senders were once told which statement failed on which table.
TEST_F(WebhookHandlerTest, SendersAreNotToldHowStoringFailed) {
  for (const absl::Status& error :
       {absl::InternalError("INSERT INTO events: disk I/O error"),
        absl::ResourceExhaustedError("BEGIN IMMEDIATE: database or disk is full"),
        ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable,
                        "COMMIT: database is locked")}) {
    log_.refuse_appends = error;
    const HttpResponse response = Send(Webhook());
    ExpectRefused(response, 503, reason::kStoreUnavailable);
    EXPECT_EQ(DetailOf(response), "the gateway cannot store webhooks now: send the webhook again");
  }
}

// It was blamed on the secret.
TEST_F(WebhookHandlerTest, EmptyBodyIsNamedAsWhatDoesNotMatch) {
  const HttpResponse response = Send(FakeHead::With(Webhook().SignedFields()), "");
  ExpectRefused(response, 401, reason::kSignatureMismatch);
  EXPECT_THAT(DetailOf(response), HasSubstr("the body is empty"));
}

// It was a syntax error at byte 0.
TEST_F(WebhookHandlerTest, FormIsNamedAsWhatIsNoJson) {
  SignedWebhook webhook = Webhook();
  webhook.body = "payload=%7B%7D";
  webhook.more_fields = {{"Content-Type", "application/x-www-form-urlencoded"}};
  const HttpResponse response = Send(webhook);
  ExpectRefused(response, 400, reason::kBodyNotJson);
  EXPECT_THAT(DetailOf(response), HasSubstr("it is a form"));
}

TEST_F(WebhookHandlerTest, DrainRefusesNewWebhooksAndFinishesThoseUnderWay) {
  SignedWebhook webhook = Webhook();
  const FakeHead head = FakeHead::With(webhook.SignedFields());
  EXPECT_EQ(handler_->CheckHead(head), absl::nullopt);
  handler_->BeginDrain();
  const HttpResponse refused = Send(Webhook());
  ExpectRefused(refused, 503, reason::kDraining);
  EXPECT_EQ(FieldOf(refused, "Retry-After"), "10");

  absl::Notification answered;
  handler_->Handle(head, webhook.body, clock_.WallNow(), [&](const HttpResponse& response) {
    EXPECT_EQ(response.status, 200);
    answered.Notify();
  });
  answered.WaitForNotification();
}

TEST_F(WebhookHandlerTest, RefusalsOfTheConnectionLayerLookAlikeAndAreCounted) {
  const FakeHead head = FakeHead::With({});
  ExpectRefused(handler_->Refuse(HttpRefusal::kBodyTooLarge, "why", head), 413,
                reason::kBodyTooLarge);
  ExpectRefused(handler_->Refuse(HttpRefusal::kTooManyConnections, "why", head), 503,
                reason::kTooManyConnections);
  EXPECT_EQ(counters().refused(), 2);
}

// --- Logs -------------------------------------------------------------------------------------

class WebhookHandlerLogTest : public WebhookHandlerTest {
 protected:
  void SetUp() override {
    WebhookHandlerTest::SetUp();
    testing::internal::CaptureStderr();
  }
  std::vector<std::string> LogLines() {
    std::vector<std::string> lines =
        absl::StrSplit(testing::internal::GetCapturedStderr(), '\n', absl::SkipEmpty());
    testing::internal::CaptureStderr();
    return lines;
  }
  void TearDown() override { testing::internal::GetCapturedStderr(); }
};

TEST_F(WebhookHandlerLogTest, StoredWebhooksLeaveNoLine) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  Send(webhook);
  Send(webhook);
  EXPECT_THAT(LogLines(), IsEmpty());
}

// At no level could it be seen that a webhook had come in.
TEST_F(WebhookHandlerLogTest, EachWebhookLeavesOneLineAtDebug) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  SetLeastSeverity(Severity::kDebug);
  Send(webhook);
  Send(webhook);
  SetLeastSeverity(Severity::kInfo);
  EXPECT_THAT(LogLines(),
              ElementsAre(HasSubstr("webhook stored source=openai webhook_id=wh_1 sequence=1 "
                                    "peer=127.0.0.1 client=127.0.0.1 trace_id="),
                          HasSubstr("webhook repeated; it was stored before source=openai "
                                    "webhook_id=wh_1 sequence=1")));
}

// A refusal could not be traced to anybody.
TEST_F(WebhookHandlerLogTest, RefusalNamesThePeerAndWhomATrustedProxyNames) {
  Configure({Source()}, {*Network::Parse("10.0.0.0/8")});
  const auto line_of = [this](const std::string& peer, const std::string& forwarded) {
    FakeHead head = FakeHead::With({{"X-Forwarded-For", forwarded}});
    head.set_peer(peer);
    Send(head, "");
    handler_->Refuse(HttpRefusal::kBodyTimeout, "why", head);
    const std::vector<std::string> lines = LogLines();
    EXPECT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0].substr(lines[0].find("peer=")), lines[1].substr(lines[1].find("peer=")));
    return lines[0];
  };
  EXPECT_THAT(line_of("10.1.2.3", "203.0.113.9"), HasSubstr("peer=10.1.2.3 client=203.0.113.9"));
  EXPECT_THAT(line_of("192.0.2.7", "203.0.113.9"), HasSubstr("peer=192.0.2.7 client=192.0.2.7"));
  EXPECT_THAT(line_of("10.1.2.3", std::string(60'000, 'x')),
              HasSubstr("peer=10.1.2.3 client=\"\""));
}

TEST_F(WebhookHandlerLogTest, NoLineHoldsASecretASignatureOrTheBody) {
  WebhookSource source = Source();
  source.rate_limit = RateLimit{.per_second = 1, .burst = 3};
  Configure({source});
  for (const std::string& body :
       {std::string(R"({"id":"e","created_at":1,"type":"batch.failed","data":{"id":["PRIVATE"]}})"),
        std::string(R"({"id":"e","created_at":"PRIVATE: x","type":"batch.failed","data":{}})"),
        std::string(R"("PRIVATE: not an object")"), std::string("PRIVATE")}) {
    SignedWebhook webhook = Webhook();
    webhook.body = body;
    Send(webhook);  // 422, 422, 422, 429
    const FakeHead::Fields fields = webhook.SignedFields();
    Send(FakeHead::With(fields), body + " ");  // 401
    const std::string signature = fields[2].second.substr(3);
    for (const std::string& line : LogLines()) {
      EXPECT_THAT(line, Not(HasSubstr("PRIVATE")));
      EXPECT_THAT(line, Not(HasSubstr(signature)));
      EXPECT_THAT(line, Not(HasSubstr(absl::string_view(kTestSecret).substr(6))));
    }
  }
}

TEST_F(WebhookHandlerLogTest, RefusedAddressIsLoggedWithItsSourceAndWithinBounds) {
  WebhookSource source = Source();
  source.allowed_networks = {*Network::Parse("192.0.2.0/24")};
  Configure({source});
  FakeHead head = FakeHead::With(Webhook().SignedFields());
  head.set_peer("203.0.113.9");
  EXPECT_EQ(Send(head, "").status, 403);
  EXPECT_THAT(LogLines(), ElementsAre(testing::AllOf(HasSubstr("source=openai"),
                                                     HasSubstr("reason=address_not_allowed"),
                                                     HasSubstr("203.0.113.9"))));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Send(head, "").status, 403);
  EXPECT_EQ(LogLines().size(), LogLimiter::kBurst - 1u);
  EXPECT_EQ(counters().refused(), 101);
}

TEST_F(WebhookHandlerLogTest, QuarantineIsLoggedWithTheFieldAtFault) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_1";
  webhook.body = R"({"id":"e","created_at":1,"type":"batch.failed","data":{"id":7}})";
  Send(webhook);
  EXPECT_THAT(LogLines(), ElementsAre(HasSubstr("webhook put into quarantine source=openai "
                                                "webhook_id=wh_1 reason=invalid_event "
                                                "field=data.id")));
}

// Whoever looks for a webhook that did not arrive has its id. It was once logged only if the
// signature held.
TEST_F(WebhookHandlerLogTest, RefusalIsLoggedWithTheIdIfItIsWellFormed) {
  SignedWebhook webhook = Webhook();
  webhook.webhook_id = "wh_lost";
  webhook.webhook_time -= absl::Hours(1);
  Send(webhook);
  EXPECT_THAT(LogLines(), ElementsAre(HasSubstr("source=openai webhook_id=wh_lost "
                                                "reason=timestamp_too_old")));
  for (const std::string& id : {std::string(257, 'x'), std::string("a b"), std::string("\x80")}) {
    Send(FakeHead::With({{"webhook-id", id}}), "");
    EXPECT_THAT(LogLines(), ElementsAre(HasSubstr("webhook_id=\"\" reason=missing_header")));
  }
}

TEST_F(WebhookHandlerLogTest, PathsOfStrangersAreNotLogged) {
  const std::string name(60 << 10, 'x');
  handler_->CheckHead(FakeHead::To("/webhooks/" + name));
  handler_->CheckHead(FakeHead::To("/" + name));
  handler_->CheckHead(FakeHead::To("/webhooks/openai?" + name, {}, name));
  const std::vector<std::string> lines = LogLines();
  EXPECT_EQ(lines.size(), 3u);
  for (const std::string& line : lines) EXPECT_LT(line.size(), 500u);
}

// Refusals cost a stranger nothing; one line each would let anybody fill the disk.
TEST_F(WebhookHandlerLogTest, StrangersCannotFillTheLogNorHideWhatIsSaidAboutSenders) {
  for (int i = 0; i < 250; ++i) {
    Send(FakeHead::With({}), "");
    Send(FakeHead::To("/elsewhere"), "");
    Send(FakeHead::To("/webhooks/openai", {}, "GET"), "");
    handler_->Refuse(HttpRefusal::kMalformed, "why", FakeHead::With({}));
  }
  EXPECT_EQ(LogLines().size(), static_cast<size_t>(LogLimiter::kBurst));
  EXPECT_EQ(counters().refused(), 1000);

  SignedWebhook undecodable = Webhook();
  undecodable.body = "not json";
  Send(undecodable);
  EXPECT_THAT(LogLines(), ElementsAre(HasSubstr("quarantine")));
  log_.refuse_appends = absl::UnavailableError("disk is full");
  Send(Webhook());
  EXPECT_THAT(LogLines(), ElementsAre(HasSubstr("disk is full")));

  clock_.Advance(absl::Seconds(1));
  Send(FakeHead::With({}), "");
  EXPECT_THAT(LogLines(),
              ElementsAre(HasSubstr(absl::StrCat("suppressed=", 1000 - LogLimiter::kBurst))));
}

}  // namespace
}  // namespace hookgate
