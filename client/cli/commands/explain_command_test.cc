#include "client/cli/commands/explain_command.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::MakeEvent;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Request = v1::ExplainEventRequest;
using Response = v1::ExplainEventResponse;

class ExplainTest : public CliTest {
 protected:
  ExplainTest() {
    gateway_.explain_event = [this](const Request& request, Response* response) {
      request_ = request;
      *response = response_;
      return grpc::Status::OK;
    };
  }
  // Event 7 and, in protobuf text format, the rest of the answer.
  void Answer(const std::string& more) {
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(more, &response_));
    *response_.mutable_event() = MakeEvent(7);
  }
  void AnswerAbsent(const std::string& text) {
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &response_));
  }
  // Of so long ago, in protobuf text format.
  std::string Ago(absl::Duration age) {
    return absl::StrCat("{ seconds: ", absl::ToUnixSeconds(clock_.WallNow() - age), " }");
  }
  std::string DeliveryOf(const std::string& subscription, const std::string& delivery) {
    return absl::StrCat(" deliveries { subscription: '", subscription, "' delivery { ", delivery,
                        " } }");
  }
  std::string Page() {
    const Outcome outcome = Run({"explain", "batch_7"});
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }

  Request request_;
  Response response_;
};

TEST_F(ExplainTest, SaysHowTheEventCameAndWhereItIs) {
  Answer(absl::StrCat(
      "arrival { secrets: 'main' skew { nanos: 200000000 } duplicates: 2 conflicts: 1 "
      "last_repeat_time ",
      Ago(absl::Minutes(2)), "}",
      DeliveryOf("audit", "state: DELIVERY_STATE_FILTERED filtered_by: FILTER_LIST_TYPES"),
      DeliveryOf("billing", absl::StrCat("state: DELIVERY_STATE_ACKED consumer: 'worker-1' "
                                         "attempt: 1 state_time ",
                                         Ago(absl::Minutes(3)))),
      DeliveryOf("mail",
                 absl::StrCat("state: DELIVERY_STATE_DEAD_LETTERED consumer: 'w' attempt: 2 "
                              "last_end: DELIVERY_END_NACKED reason: 'smtp down' delivery_count: 3 "
                              "attempts { attempt: 1 consumer: 'w' begin_time ",
                              Ago(absl::Minutes(9)), " end_time ", Ago(absl::Minutes(8)),
                              " end: DELIVERY_END_DEADLINE_PASSED } "
                              "attempts { attempt: 2 consumer: 'w' begin_time ",
                              Ago(absl::Minutes(7)), " end_time ", Ago(absl::Minutes(7)),
                              " end: DELIVERY_END_NACKED reason: 'smtp down' }"))));
  const Outcome outcome = Run({"explain", "batch_7"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(
      outcome.out,
      "sequence    7\n"
      "type        batch.failed\n"
      "subject     batch_7\n"
      "source      openai\n"
      "webhook-id  wh_7\n"
      "received    2025-06-15 17:06:47+02:00 (9 min ago)\n"
      "came        verified by the secret main; received within a second of being signed\n"
      "repeats     2 with the same body, 1 with ANOTHER BODY, of which the first one is kept; the "
      "last 2025-06-15 17:14:40+02:00 (2 min ago)\n"
      "\n"
      "SUBSCRIPTION  STATE     SINCE                      CONSUMER  ATTEMPT  WHY\n"
      "audit         filtered  -                          -               -  its filter does "
      "not admit the type\n"
      "billing       acked     2025-06-15 17:13:40+02:00  worker-1        1  -\n"
      "mail          dead      -                          w               2  nacked: \"smtp "
      "down\"\n"
      "\n"
      "Deliveries in mail, the last 2 of 3:\n"
      "ATTEMPT  CONSUMER  BEGAN                       TOOK  ENDED            REASON\n"
      "      1  w         2025-06-15 17:07:40+02:00  1 min  deadline passed  -\n"
      "      2  w         2025-06-15 17:09:40+02:00    0 s  nacked           smtp down\n"
      "\n"
      "Next:\n"
      "  hookgate dead-letters redrive mail 7   delivers it again, once its cause is mended\n"
      "  hookgate conflicts show 7   shows what came with another body, while that is kept\n");
}

// That the same webhook-id was also refused, and is in quarantine, was told only of events that are
// not there.
TEST_F(ExplainTest, SaysWhatElseCameWithItsWebhookId) {
  Answer(absl::StrCat(
      "arrival { quarantined { id: 4 source: 'openai' reason: 'body_not_json' "
      "last_receive_time ",
      Ago(absl::Minutes(5)), "} refused { code: 'signature_mismatch' count: 2 ", "last_time ",
      Ago(absl::Minutes(1)), "} refused { code: 'timestamp_too_old' count: 1 } }"));
  EXPECT_THAT(
      Page(),
      AllOf(HasSubstr("refused     3 requests that claimed this webhook-id: signature_mismatch, "
                      "timestamp_too_old; the last 2025-06-15 17:15:40+02:00 (1 min ago)\n"),
            HasSubstr("quarantine  entry 4 came with this webhook-id and could not be decoded: "
                      "body_not_json; the last 2025-06-15 17:11:40+02:00 (5 min ago)\n"),
            HasSubstr("hookgate quarantine show 4   shows"),
            HasSubstr("hookgate refused --webhook-id=wh_7   shows")));
  response_.mutable_event()->set_webhook_id("it's $(id)");
  EXPECT_THAT(Page(), HasSubstr("--webhook-id='it'\\''s $(id)'   shows"));
}

// An event of a paused subscription was said to wait for a consumer.
TEST_F(ExplainTest, SaysThatASubscriptionIsPaused) {
  const auto add = [this](const std::string& name, const std::string& delivery) {
    return absl::StrCat(" deliveries { subscription: '", name, "' delivery { ", delivery,
                        " } pause_time ", Ago(absl::Minutes(5)), " }");
  };
  Answer(absl::StrCat(
      add("a", "state: DELIVERY_STATE_WAITING last_end: DELIVERY_END_NACKED reason: 'busy'"),
      add("b", "state: DELIVERY_STATE_NOT_REACHED"), add("c", "state: DELIVERY_STATE_ACKED"),
      add("d", "state: DELIVERY_STATE_NOT_REACHED filtered_by: FILTER_LIST_TYPES")));
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("nacked: \"busy\"; the subscription has been paused since 2025-06-15 "
                              "17:11:40+02:00 (5 min ago)\n"));
  EXPECT_THAT(page, HasSubstr("-  the subscription has been paused since"));
  EXPECT_THAT(page, HasSubstr("hookgate subscriptions resume a   delivers it"));
  EXPECT_THAT(page, HasSubstr("hookgate subscriptions resume b   delivers it"));
  EXPECT_THAT(page, Not(HasSubstr("resume c")));
  EXPECT_THAT(page, Not(HasSubstr("resume d")));
}

TEST_F(ExplainTest, IdIsASequenceATextOrAWebhookId) {
  Answer("");
  Run({"explain", "#7"});
  EXPECT_EQ(request_.sequence(), 7);
  Run({"explain", "evt_7", "--subscription=a", "--subscription=b"});
  EXPECT_EQ(request_.text(), "evt_7");
  EXPECT_THAT(request_.subscriptions(), ElementsAre("a", "b"));
  Run({"explain", "0"});
  EXPECT_EQ(request_.text(), "0");
  Run({"explain", "99999999999999999999"});
  EXPECT_EQ(request_.text(), "99999999999999999999");
  Run({"explain", "7", "--source=staging"});
  EXPECT_EQ(request_.webhook().source(), "staging");
  EXPECT_EQ(request_.webhook().webhook_id(), "7");
}

// Of an event whose subject was "777", it was said that there is no such event yet.
TEST_F(ExplainTest, ANumberIsASequenceFirstAndThenAText) {
  bool has_sequence = true;
  bool has_text = true;
  gateway_.explain_event = [&](const Request& request, Response* response) {
    EXPECT_EQ(request.has_text() ? request.text() : "777", "777");
    if (request.has_text() ? has_text : has_sequence) {
      *response->mutable_event() = MakeEvent(request.has_text() ? 5 : 777);
    } else {
      response->mutable_absence()->set_cause(request.has_text() ? v1::Absence::CAUSE_NEVER_SEEN
                                                                : v1::Absence::CAUSE_NOT_YET);
    }
    return grpc::Status::OK;
  };
  const Outcome both = Run({"explain", "777"});
  EXPECT_THAT(both.out, HasSubstr("batch_777"));
  EXPECT_THAT(both.err, HasSubstr("hookgate explain 5 explains that"));
  EXPECT_EQ(Run({"explain", "#777"}).err, "");
  has_text = false;
  EXPECT_EQ(Run({"explain", "777"}).err, "");
  has_sequence = false;
  const Outcome neither = Run({"explain", "777"});
  EXPECT_EQ(neither.exit_code, kNotFound);
  EXPECT_THAT(neither.out, HasSubstr("event #777: there is no such event yet"));
  has_text = true;
  const Outcome text = Run({"explain", "777"});
  EXPECT_EQ(text.exit_code, kSuccess);
  EXPECT_THAT(text.out, HasSubstr("batch_5"));
}

TEST_F(ExplainTest, WaitingSaysUntilWhenAndLeasedWhoHasIt) {
  Answer(absl::StrCat(
      DeliveryOf("a", absl::StrCat("state: DELIVERY_STATE_LEASED consumer: 'w' attempt: 1 "
                                   "until_time ",
                                   Ago(-absl::Seconds(90)))),
      DeliveryOf("b", absl::StrCat("state: DELIVERY_STATE_WAITING attempt: 2 last_end: "
                                   "DELIVERY_END_STREAM_LOST until_time ",
                                   Ago(-absl::Minutes(5)))),
      DeliveryOf("c", absl::StrCat("state: DELIVERY_STATE_WAITING attempt: 2 until_time ",
                                   Ago(absl::Minutes(5)))),
      DeliveryOf("d", "state: DELIVERY_STATE_NOT_REACHED"),
      DeliveryOf("e", "state: DELIVERY_STATE_NOT_REACHED filtered_by: FILTER_LIST_SUBJECTS")));
  EXPECT_THAT(Page(), AllOf(HasSubstr("its lease ends 2025-06-15 17:18:10+02:00"),
                            HasSubstr("stream lost; not before 2025-06-15 17:21:40+02:00"),
                            HasSubstr("waits for a consumer"),
                            HasSubstr("the subscription has not reached it"),
                            HasSubstr("its filter does not admit the subject"),
                            HasSubstr("hookgate subscriptions show a ")));
}

// That it was acked once could be seen only by who read the table of its attempts.
TEST_F(ExplainTest, SkippedOneThatWasAckedBeforeIsSaidToBeSo) {
  Answer(absl::StrCat(
      DeliveryOf("a",
                 "state: DELIVERY_STATE_SKIPPED attempts { end: DELIVERY_END_ACKED } "
                 "attempts { end: DELIVERY_END_NACKED }"),
      DeliveryOf("b", "state: DELIVERY_STATE_LOST attempts { end: DELIVERY_END_ACKED }"),
      DeliveryOf("c", "state: DELIVERY_STATE_SKIPPED attempts { end: DELIVERY_END_NACKED }")));
  EXPECT_THAT(Page(), AllOf(HasSubstr("past it; it had been acked before it was to be delivered "
                                      "again\n"),
                            HasSubstr("settled; it had been acked before"),
                            HasSubstr("moved the subscription past it\n")));
}

// Nothing at all was printed, and only the exit code said why.
TEST_F(ExplainTest, RawBodyOfAnEventThatIsNotThereIsExplainedOnTheSide) {
  AnswerAbsent("absence { cause: CAUSE_NEVER_SEEN earliest_sequence: 3 head_sequence: 9 }");
  const Outcome outcome = Run({"explain", "evt_1", "--raw"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("event evt_1: it never came, was refused so long ago that it "
                                     "is forgotten, is in quarantine under another id, its "
                                     "webhook-id, or retention has removed it."));
}

TEST_F(ExplainTest, OtherEventsOfOneIdAreListed) {
  Answer(
      "other_events { sequence: 3 source: 'openai' webhook_id: 'wh_3' type: 'batch.completed' } "
      "more_other_events: true");
  EXPECT_THAT(Page(), AllOf(HasSubstr("newest of several"), HasSubstr("also older ones"),
                            HasSubstr("       3  -         batch.completed  -        openai")));
}

TEST_F(ExplainTest, WhatIsLeftOutIsCounted) {
  Answer("hidden_subscriptions: 2 omitted_subscriptions: 1");
  EXPECT_THAT(Page(), AllOf(HasSubstr("2 subscriptions of which you may not know"),
                            HasSubstr("1 more subscription had no room"),
                            Not(HasSubstr("There are no durable subscriptions"))));
  response_.Clear();
  Answer("");
  EXPECT_THAT(Page(), HasSubstr("There are no durable subscriptions.\n"));
}

TEST_F(ExplainTest, AbsentOneIsExplainedAndNotFound) {
  AnswerAbsent(
      absl::StrCat("absence { cause: CAUSE_NEVER_SEEN earliest_sequence: 3 head_sequence: 9 "
                   "earliest_receive_time ",
                   Ago(absl::Hours(50)), " sources { source: 'openai' time ", Ago(absl::Hours(3)),
                   " } sources { source: 'staging' } }"));
  const Outcome outcome = Run({"explain", "evt_\x1b"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "event evt_\\x1b: it never came, was refused so long ago that it is forgotten, is "
            "in quarantine under another id, its webhook-id, or retention has removed it.\n"
            "The log holds the events #3 to #9, received since 2025-06-13 15:16:40+02:00 (2 d "
            "ago).\n"
            "\n"
            "SOURCE   LAST WEBHOOK               AGE\n"
            "openai   2025-06-15 14:16:40+02:00  3 h ago\n"
            "staging  none yet                   -\n"
            "\n"
            "Next:\n"
            "  hookgate quarantine list   shows what could not be decoded, of all ids\n"
            "  hookgate refused   shows the requests that were refused\n");
  EXPECT_EQ(Run({"explain", "evt_1", "--output=json"}).exit_code, kNotFound);
}

TEST_F(ExplainTest, EachCauseOfAbsenceHasItsWords) {
  const auto page = [this](const std::string& absence) {
    response_.Clear();
    AnswerAbsent(absl::StrCat("absence { ", absence, " }"));
    return Page();
  };
  EXPECT_THAT(page("cause: CAUSE_REMOVED earliest_sequence: 3 head_sequence: 2"),
              AllOf(HasSubstr("retention has removed it"), HasSubstr("holds no event")));
  EXPECT_THAT(page("cause: CAUSE_NOT_YET"), HasSubstr("no such event yet"));
  EXPECT_THAT(page("cause: CAUSE_QUARANTINED quarantined { id: 4 source: 'openai' reason: "
                   "'body_not_json' receive_count: 2 }"),
              AllOf(HasSubstr("it is in quarantine"), HasSubstr("body_not_json"),
                    HasSubstr("hookgate quarantine retry 4")));
  EXPECT_THAT(
      page("cause: CAUSE_REFUSED refused { source: 'openai' code: 'signature_mismatch' "
           "client_address: '10.0.0.1' count: 3 }"),
      AllOf(HasSubstr("were refused"), HasSubstr("signature_mismatch"), HasSubstr("10.0.0.1")));
  EXPECT_THAT(page("cause: CAUSE_NEVER_SEEN admin_only: true"), HasSubstr("rights.admin"));
}

TEST_F(ExplainTest, RawPrintsTheBodyAlone) {
  Answer("");
  response_.mutable_event()->set_raw_body("{\n}");
  EXPECT_EQ(Run({"explain", "#7", "--raw"}).out, "{\n}");
  EXPECT_TRUE(request_.include_raw_body());
}

TEST_F(ExplainTest, PrintsOneJsonObject) {
  Answer(DeliveryOf("billing", "state: DELIVERY_STATE_ACKED"));
  const Outcome outcome = Run({"explain", "7", "--output=json"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr(R"("state":"DELIVERY_STATE_ACKED")"),
                                 HasSubstr(R"("webhook_id":"wh_7")")));
}

TEST_F(ExplainTest, TextFromElsewhereCannotReachTheTerminal) {
  Answer(absl::StrCat("arrival { secrets: '\\033[2J' }",
                      DeliveryOf("billing",
                                 "state: DELIVERY_STATE_WAITING reason: '\\033[2J\\n' "
                                 "attempts { consumer: '\\033[2J' reason: '\\r' }")));
  response_.mutable_event()->set_subject("\x1b[2J");
  EXPECT_THAT(Page(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(Page(), Not(HasSubstr("\r")));
}

TEST_F(ExplainTest, WrongUsageAndRefusalsHaveTheirExitCodes) {
  EXPECT_EQ(Run({"explain"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"explain", ""}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"explain", "1", "2"}).exit_code, kWrongUsage);
  gateway_.explain_event = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "there is none");
  };
  EXPECT_EQ(Run({"explain", "1", "--subscription=x"}).exit_code, kNotFound);
  gateway_.explain_event = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::PERMISSION_DENIED, "MISSING_RIGHT", "no");
  };
  EXPECT_EQ(Run({"explain", "1"}).exit_code, kFailed);
}

}  // namespace
}  // namespace hookgate::cli
