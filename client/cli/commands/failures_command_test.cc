#include "client/cli/commands/failures_command.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::hookgate::testing::MakeEvent;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Request = v1::ListRecentFailuresRequest;
using Response = v1::ListRecentFailuresResponse;

class FailuresTest : public CliTest {
 protected:
  // Answers with events `newest` to 1, in pages of at most `page`.
  void Hold(int newest, int page = 1000) {
    gateway_.list_recent_failures = [this, newest, page](const Request& request,
                                                         Response* response) {
      if (IsForOlder(request)) {
        response->set_total_count(older_);
        response->set_total_count_truncated(older_ > 4000);
        return grpc::Status::OK;
      }
      if (IsForNewer(request)) {
        response->set_total_count(newer_);
        return grpc::Status::OK;
      }
      requests_.push_back(request);
      const int first = request.page_token().empty() ? newest : std::stoi(request.page_token());
      const int last = std::max(first - std::min(request.page_size(), page), 0);
      for (int i = first; i > last; --i) *response->add_events() = MakeEvent(i);
      if (last > 0) response->set_next_page_token(absl::StrCat(last));
      response->set_total_count(newest);
      return grpc::Status::OK;
    };
  }

  // Whether it asks how many there are before the window.
  static bool IsForOlder(const Request& request) {
    return request.has_start_time() && request.start_time().seconds() == 0;
  }
  // The same of what comes behind a window that ends.
  bool IsForNewer(const Request& request) const {
    return newer_ > 0 && request.has_start_time() && !request.has_end_time();
  }
  // Event `sequence` is in `state` in the subscription `name`; in others, filtered.
  void SetState(int64_t sequence, const std::string& name, v1::DeliveryState state) {
    names_.insert(name);
    states_[{sequence, name}] = state;
    gateway_.explain_event = [this](const v1::ExplainEventRequest& request,
                                    v1::ExplainEventResponse* response) {
      response->mutable_event()->set_sequence(request.sequence());
      response->set_hidden_subscriptions(hidden_);
      if (request.sequence() == 1) response->set_omitted_subscriptions(omitted_of_1_);
      for (const std::string& name : names_) {
        v1::SubscriptionDelivery& delivery = *response->add_deliveries();
        if (paused_.contains(name)) delivery.mutable_pause_time()->set_seconds(1);
        delivery.set_subscription(name);
        const auto state = states_.find({request.sequence(), name});
        delivery.mutable_delivery()->set_state(
            state != states_.end() ? state->second : v1::DELIVERY_STATE_FILTERED);
      }
      return grpc::Status::OK;
    };
  }

  std::vector<Request> requests_;
  int older_ = 0;
  int newer_ = 0;
  int hidden_ = 0;
  int omitted_of_1_ = 0;
  std::set<std::string> paused_;
  std::set<std::string> names_;
  std::map<std::pair<int64_t, std::string>, v1::DeliveryState> states_;
};

TEST_F(FailuresTest, PrintsATableAndHowManyThereAre) {
  Hold(2);
  const Outcome outcome = Run({"failures"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "RECEIVED                   AGE        TYPE          SUBJECT  SOURCE  WEBHOOK-ID  "
            "SEQUENCE\n"
            "2025-06-15 17:06:42+02:00  9 min ago  batch.failed  batch_2  openai  wh_2        "
            "       2\n"
            "2025-06-15 17:06:41+02:00  9 min ago  batch.failed  batch_1  openai  wh_1        "
            "       1\n"
            "\n"
            "2 failures in the last 24 h\n");
}

TEST_F(FailuresTest, PrintsOneJsonObjectALine) {
  Hold(2);
  const Outcome outcome = Run({"failures", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  const auto line = [](int i) {
    return absl::StrCat(
        R"({"sequence":")", i, R"(","cursor":"c)", i, R"(","source":"openai","webhook_id":"wh_)", i,
        R"(","type":"batch.failed","subject":"batch_)", i,
        R"(","webhook_time":"2025-06-15T15:06:4)", i, R"(Z","receive_time":"2025-06-15T15:06:4)", i,
        R"(Z","durability":"DURABILITY_LOCAL_DISK","batch_failed":{"id":"evt_)", i,
        R"(","data":{"id":"batch_)", i, R"("},"type":"batch.failed"}})", "\n");
  };
  EXPECT_EQ(outcome.out, line(2) + line(1));
}

TEST_F(FailuresTest, SaysInWordsThatThereAreNone) {
  Hold(0);
  EXPECT_EQ(Run({"failures"}).out, "No failures in the last 24 h.\n");
  EXPECT_EQ(Run({"failures", "--since", "90m", "--type", "x"}).out,
            "No failures in the last 90 min that match the filter.\n");
  EXPECT_EQ(Run({"failures", "--since", "2025-06-15T12:00:00Z"}).out,
            "No failures since 2025-06-15 14:00:00+02:00.\n");
  EXPECT_EQ(Run({"failures", "--since", "2d", "--until", "1d"}).out,
            "No failures from 2025-06-13 17:16:40+02:00 to 2025-06-14 17:16:40+02:00.\n");
  const Outcome json = Run({"failures", "--output=json"});
  EXPECT_EQ(json.exit_code, kSuccess);
  EXPECT_EQ(json.out, "");
}

TEST_F(FailuresTest, AsksForWhatTheFlagsSay) {
  Hold(1);
  Run({"failures", "--since=1h", "--until=5m", "--source=a", "--source=b", "--type=batch.*",
       "--subject", "batch_1", "--limit=7"});
  ASSERT_FALSE(requests_.empty());
  const Request& request = requests_[0];
  const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
  EXPECT_EQ(request.start_time().seconds(), now - 3600);
  EXPECT_EQ(request.end_time().seconds(), now - 300);
  EXPECT_THAT(request.filter().sources(), ElementsAre("a", "b"));
  EXPECT_THAT(request.filter().types(), ElementsAre("batch.*"));
  EXPECT_THAT(request.filter().subjects(), ElementsAre("batch_1"));
  EXPECT_EQ(request.page_size(), 7);
}

TEST_F(FailuresTest, LeavesTheEndToTheGatewayUnlessSaid) {
  Hold(1);
  Run({"failures"});
  EXPECT_FALSE(requests_.at(0).has_end_time());
}

TEST_F(FailuresTest, StopsAtTheLimitAndSaysWhatIsLeft) {
  Hold(60);
  const Outcome outcome = Run({"failures"});
  EXPECT_THAT(outcome.out, HasSubstr("\n50 of 60 failures in the last 24 h; --limit N or --all "
                                     "shows more\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("wh_10 ")));
  EXPECT_EQ(requests_.size(), 1u);
}

TEST_F(FailuresTest, ALimitThatIsJustReachedLeavesNothing) {
  Hold(2);
  EXPECT_THAT(Run({"failures", "--limit=2"}).out, HasSubstr("\n2 failures in the last 24 h\n"));
}

TEST_F(FailuresTest, GoesFromPageToPage) {
  Hold(60, 25);
  const Outcome outcome = Run({"failures", "--limit=55", "--output=json"});
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 55);
  ASSERT_EQ(requests_.size(), 3u);
  EXPECT_EQ(requests_[2].page_token(), "10");
  EXPECT_EQ(requests_[2].page_size(), 5);
  // Tokens belong to a request: all but the token and the size must stay as it was.
  EXPECT_EQ(requests_[2].start_time().seconds(), requests_[0].start_time().seconds());
}

TEST_F(FailuresTest, AllGoesToTheEndThroughEmptyPagesToo) {
  int calls = 0;
  gateway_.list_recent_failures = [&calls](const Request& request, Response* response) {
    if (IsForOlder(request)) return grpc::Status::OK;
    ++calls;
    if (calls != 2) *response->add_events() = MakeEvent(calls);
    if (calls < 3) response->set_next_page_token("more");
    response->set_total_count(2);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"failures", "--all"}).out, HasSubstr("\n2 failures in the last 24 h\n"));
  EXPECT_EQ(calls, 3);
}

TEST_F(FailuresTest, SaysWhenNobodyCountedToTheEnd) {
  gateway_.list_recent_failures = [](const Request&, Response* response) {
    *response->add_events() = MakeEvent(1);
    response->set_next_page_token("more");
    response->set_total_count(4'000);
    response->set_total_count_truncated(true);
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"failures", "--limit=1"}).out,
              HasSubstr("\n1 of at least 4000 failures in the last 24 h;"));
}

TEST_F(FailuresTest, TextFromElsewhereCannotReachTheTerminal) {
  gateway_.list_recent_failures = [](const Request&, Response* response) {
    v1::Event event = MakeEvent(1);
    event.set_subject("\x1b[2J\nx");
    event.set_webhook_id("a\rb");
    *response->add_events() = event;
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"failures"}).out, HasSubstr("  \\x1b[2J\\nx  openai  a\\rb  "));
}

TEST_F(FailuresTest, EachSubscriptionHasAColumn) {
  Hold(2);
  SetState(2, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(2, "mail", v1::DELIVERY_STATE_DEAD_LETTERED);
  EXPECT_THAT(Run({"failures"}).out, AllOf(HasSubstr("  SEQUENCE  billing   mail\n"),
                                           HasSubstr("         2  acked     dead\n"),
                                           HasSubstr("         1  filtered  filtered\n"),
                                           HasSubstr("\n2 failures in the last 24 h\n")));
}

TEST_F(FailuresTest, ManySubscriptionsAreCounted) {
  Hold(1);
  for (const char* const name : {"a", "b", "c", "d"}) {
    SetState(1, name, v1::DELIVERY_STATE_ACKED);
  }
  SetState(1, "e", v1::DELIVERY_STATE_WAITING);
  EXPECT_THAT(Run({"failures"}).out, AllOf(HasSubstr("  SEQUENCE  SUBSCRIPTIONS\n"),
                                           HasSubstr("         1  4 acked, 1 waiting\n")));
}

// Whoever is on call asks what nobody has handled.
TEST_F(FailuresTest, UnhandledAreThoseWithSomethingToDo) {
  Hold(6);
  SetState(1, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(2, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(2, "mail", v1::DELIVERY_STATE_LEASED);
  SetState(3, "mail", v1::DELIVERY_STATE_DEAD_LETTERED);
  SetState(4, "mail", v1::DELIVERY_STATE_DISCARDED);
  SetState(5, "billing", v1::DELIVERY_STATE_NOT_REACHED);
  const auto listed = [this](const std::string& flag) {
    std::string sequences;
    const Outcome outcome = Run({"failures", flag, "--output=json"});
    EXPECT_EQ(outcome.exit_code, kSuccess);
    for (int i = 1; i <= 6; ++i) {
      if (absl::StrContains(outcome.out, absl::StrCat("\"wh_", i, "\""))) {
        absl::StrAppend(&sequences, i);
      }
    }
    return sequences;
  };
  EXPECT_EQ(listed("--handled"), "14");
  EXPECT_EQ(listed("--unhandled"), "2356");
  EXPECT_THAT(Run({"failures", "--unhandled"}).out,
              HasSubstr("\n4 unhandled failures in the last 24 h\n"));
  EXPECT_EQ(Run({"failures", "--unhandled", "--handled"}).exit_code, kWrongUsage);
}

// Once the history of deliveries was trimmed, all that had been acked was called unhandled.
TEST_F(FailuresTest, WhatIsNoLongerRememberedIsInNeitherList) {
  Hold(3);
  SetState(1, "billing", v1::DELIVERY_STATE_NOT_REMEMBERED);
  SetState(2, "billing", v1::DELIVERY_STATE_NOT_REMEMBERED);
  SetState(2, "mail", v1::DELIVERY_STATE_WAITING);
  SetState(3, "billing", v1::DELIVERY_STATE_ACKED);
  const std::string unhandled = Run({"failures", "--unhandled"}).out;
  EXPECT_THAT(unhandled,
              AllOf(HasSubstr("wh_2 "), Not(HasSubstr("wh_1 ")), Not(HasSubstr("wh_3 "))));
  EXPECT_THAT(unhandled, HasSubstr("1 more was settled longer ago than is remembered"));
  const std::string handled = Run({"failures", "--handled"}).out;
  EXPECT_THAT(handled, AllOf(HasSubstr("wh_3 "), Not(HasSubstr("wh_1 "))));
  EXPECT_THAT(Run({"failures"}).out, Not(HasSubstr("longer ago")));
}

// An event was called handled although the answer had no room for some subscriptions, which may not
// have acked it.
TEST_F(FailuresTest, OneOfWhichNotAllIsKnownIsNotHandled) {
  Hold(2);
  SetState(1, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(2, "billing", v1::DELIVERY_STATE_ACKED);
  omitted_of_1_ = 3;
  const std::string handled = Run({"failures", "--handled"}).out;
  EXPECT_THAT(handled, AllOf(HasSubstr("wh_2 "), Not(HasSubstr("wh_1 "))));
  const std::string unhandled = Run({"failures", "--unhandled"}).out;
  EXPECT_THAT(unhandled, AllOf(HasSubstr("wh_1 "), Not(HasSubstr("wh_2 "))));
  EXPECT_THAT(unhandled, HasSubstr("Of 1 event not every subscription had room in an answer; it "
                                   "counts as not handled: hookgate explain"));
  EXPECT_THAT(Run({"failures"}).out, HasSubstr("1 acked, 3 not shown\n"));
}

TEST_F(FailuresTest, AChoiceGoesOnUntilTheLimitIsReached) {
  Hold(50, 10);
  SetState(3, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(2, "billing", v1::DELIVERY_STATE_ACKED);
  const Outcome outcome = Run({"failures", "--handled", "--limit=1"});
  EXPECT_THAT(outcome.out, HasSubstr("the first handled failure in the last 24 h; there may be "
                                     "more"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("wh_3 "), Not(HasSubstr("wh_2 "))));
}

// A gateway of before has no states: its failures are listed all the same, but not chosen from.
TEST_F(FailuresTest, GatewayWithoutStatesCannotChoose) {
  Hold(1);
  EXPECT_EQ(Run({"failures"}).exit_code, kSuccess);
  const Outcome outcome = Run({"failures", "--unhandled"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.out, "");
}

TEST_F(FailuresTest, SaysWhatItsWindowHides) {
  Hold(1);
  older_ = 12;
  EXPECT_THAT(Run({"failures"}).out,
              HasSubstr("\n12 older failures are before that: --since AGO shows more.\n"));
  older_ = 4001;
  EXPECT_THAT(Run({"failures"}).out, HasSubstr("At least 4001 older"));
  newer_ = 1;
  EXPECT_THAT(Run({"failures", "--until", "1h"}).out,
              HasSubstr("\n1 newer failure is after that: without --until they are shown.\n"));
  Hold(0);
  EXPECT_THAT(Run({"failures"}).out,
              AllOf(HasSubstr("No failures in the last 24 h.\n"), HasSubstr("older")));
}

TEST_F(FailuresTest, SaysWhatWaitsSinceItsSubscriptionIsPaused) {
  Hold(1);
  SetState(1, "billing", v1::DELIVERY_STATE_ACKED);
  SetState(1, "mail", v1::DELIVERY_STATE_WAITING);
  paused_ = {"billing", "mail"};
  EXPECT_THAT(Run({"failures"}).out, HasSubstr("1  acked    waiting, paused\n"));
}

TEST_F(FailuresTest, SaysThatSomeSubscriptionsAreNotShown) {
  Hold(1);
  SetState(1, "billing", v1::DELIVERY_STATE_ACKED);
  hidden_ = 2;
  EXPECT_THAT(Run({"failures"}).out,
              HasSubstr("2 subscriptions of which you may not know have no column.\n"));
  EXPECT_THAT(Run({"failures", "--handled"}).out, HasSubstr("did not count.\n"));
}

// protobuf's JSON leaves the marks that reorder text as they are.
TEST_F(FailuresTest, NorCanItAsJson) {
  gateway_.list_recent_failures = [](const Request&, Response* response) {
    v1::Event event = MakeEvent(1);
    event.set_subject("a\u2066b\u061Cc\u202Ed\x7f");
    *response->add_events() = event;
    return grpc::Status::OK;
  };
  EXPECT_THAT(Run({"failures", "--output", "json"}).out,
              HasSubstr(R"("subject":"a\u2066b\u061cc\u202ed\u007f")"));
}

TEST_F(FailuresTest, LocalTimesAndDaysAreTaken) {
  Hold(1);
  Run({"failures", "--since", "2025-06-14", "--until", "2025-06-15 12:30"});
  EXPECT_EQ(requests_.at(0).start_time().seconds(), 1'749'852'000) << "midnight, two hours east";
  EXPECT_EQ(requests_.at(0).end_time().seconds(), 1'749'983'400);
  const Outcome wrong = Run({"failures", "--since", "yesterday"});
  EXPECT_EQ(wrong.exit_code, kWrongUsage);
  EXPECT_THAT(wrong.err, HasSubstr("1w"));
}

// A typing error in --source was answered "No failures", with exit code 0.
TEST_F(FailuresTest, ASourceThatThereIsNotIsAFailure) {
  gateway_.list_recent_failures = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::NOT_FOUND, "UNKNOWN_SOURCE", "there is no source opnai");
  };
  const Outcome outcome = Run({"failures", "--source", "opnai"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_THAT(outcome.err, HasSubstr("there is no source opnai"));
}

TEST_F(FailuresTest, ColoursOnATerminalUnlessUnwanted) {
  Hold(1);
  const std::string red = "\x1b[31mbatch.failed\x1b[0m";
  EXPECT_THAT(Run({"failures"}).out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Run({"failures", "--color=always"}).out, HasSubstr(red));
  out_is_terminal_ = true;
  EXPECT_THAT(Run({"failures"}).out, HasSubstr(red));
  EXPECT_THAT(Run({"failures", "--color=never"}).out, Not(HasSubstr("\x1b")));
  variables_["NO_COLOR"] = "1";
  EXPECT_THAT(Run({"failures"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(FailuresTest, ARefusalIsAFailure) {
  gateway_.list_recent_failures = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::INVALID_ARGUMENT, "INVALID_REQUEST",
                         "filter.types[0]: is no type\x1b[2J");
  };
  const Outcome outcome = Run({"failures", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(
      outcome.err,
      "hookgate: cannot list failures: the gateway at gateway:1 answered: filter.types[0]: is "
      "no type\\x1b[2J. Correct the request; the same one will be refused again.\n");
}

TEST_F(FailuresTest, ADrainingGatewayIsReachableAllTheSame) {
  gateway_.list_recent_failures = [](const Request&, Response*) {
    return GatewayStatus(grpc::StatusCode::UNAVAILABLE, "DRAINING", "the gateway goes down");
  };
  EXPECT_EQ(Run({"failures"}).exit_code, kFailed);
}

TEST_F(FailuresTest, NobodyThereIsUnreachable) {
  channel_target_ = "127.0.0.1:1";
  const Outcome outcome = Run({"failures", "--grpc=gateway:1"});
  EXPECT_EQ(outcome.exit_code, kUnreachable);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("Check that a gateway runs there and that gateway:1 is"));
}

TEST_F(FailuresTest, ASilentGatewayIsUnreachableInTheEnd) {
  gateway_.list_recent_failures = [this](const Request&, Response*) { return gateway_.Hold(); };
  EXPECT_EQ(Run({"failures", "--timeout=50ms"}).exit_code, kUnreachable);
}

TEST_F(FailuresTest, WhatCameBeforeAnErrorIsShown) {
  gateway_.list_recent_failures = [](const Request& request, Response* response) {
    if (!request.page_token().empty()) {
      return GatewayStatus(grpc::StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_QUERIES", "too many");
    }
    *response->add_events() = MakeEvent(1);
    response->set_next_page_token("more");
    return grpc::Status::OK;
  };
  const Outcome outcome = Run({"failures", "--all"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("wh_1"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("1 failure")));
}

TEST_F(FailuresTest, ContradictionsAreWrongUsage) {
  EXPECT_EQ(Run({"failures", "--all", "--limit=3"}).exit_code, kWrongUsage);
  const Outcome outcome = Run({"failures", "--since=1h", "--until=2h"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("--since is not before --until"));
}

}  // namespace
}  // namespace hookgate::cli
