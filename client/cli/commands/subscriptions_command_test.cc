// The commands about durable subscriptions and their dead letters, against a gateway whose answers
// are written here.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::GatewayStatus;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

v1::Subscription Billing() {
  v1::Subscription subscription;
  subscription.set_name("billing");
  subscription.mutable_settings()->mutable_filter()->add_types("batch.failed");
  subscription.mutable_settings()->set_max_attempts(10);
  *subscription.mutable_settings()->mutable_ack_deadline() = ToProto(absl::Seconds(30));
  *subscription.mutable_settings()->mutable_minimum_backoff() = ToProto(absl::Seconds(1));
  *subscription.mutable_settings()->mutable_maximum_backoff() = ToProto(absl::Minutes(10));
  subscription.mutable_backlog()->set_events(7);
  *subscription.mutable_backlog()->mutable_oldest_unacked_age() = ToProto(absl::Seconds(90.5));
  subscription.set_in_flight(2);
  return subscription;
}

class SubscriptionsTest : public CliTest {
 protected:
  SubscriptionsTest() {
    gateway_.subscriptions.create_subscription = [this](const auto& request, auto* response) {
      created_.push_back(request);
      *response->mutable_subscription() = Billing();
      return grpc::Status::OK;
    };
    gateway_.subscriptions.get_subscription = [this](const auto&, auto* response) {
      *response->mutable_subscription() = shown_;
      return grpc::Status::OK;
    };
    gateway_.subscriptions.update_subscription = [this](const auto& request, auto* response) {
      updated_.push_back(request);
      *response->mutable_subscription() = Billing();
      return grpc::Status::OK;
    };
    gateway_.subscriptions.delete_subscription = [this](const auto& request, auto*) {
      deleted_.push_back(request.name());
      return grpc::Status::OK;
    };
    gateway_.subscriptions.list_dead_letters = [this](const auto& request, auto* response) {
      EXPECT_EQ(request.subscription(), "billing");
      // Pages with events were larger than the client takes, and `--all` failed.
      events_were_asked_for_ = !request.has_include_events() || request.include_events();
      auto& letter = *response->add_dead_letters();
      letter.set_sequence(request.page_token().empty() ? 3 : 5);
      letter.set_cause(v1::DeadLetter::CAUSE_NACKED);
      letter.set_nack_reason("no \x1b[31mroute");
      letter.set_attempts(10);
      if (request.page_token().empty()) response->set_next_page_token("next");
      return grpc::Status::OK;
    };
    gateway_.subscriptions.redrive_dead_letters = [this](const auto& request, auto* response) {
      for (const int64_t sequence : request.sequences()) {
        redriven_.push_back(sequence);
        auto& result = *response->add_results();
        result.set_sequence(sequence);
        result.set_outcome(sequence == 3 ? v1::RedriveDeadLettersResponse::OUTCOME_REDRIVEN
                                         : v1::RedriveDeadLettersResponse::OUTCOME_EVENT_REMOVED);
      }
      return grpc::Status::OK;
    };
    gateway_.subscriptions.discard_dead_letters = [this](const auto& request, auto* response) {
      for (const int64_t sequence : request.sequences()) {
        discarded_.push_back(sequence);
        auto& result = *response->add_results();
        result.set_sequence(sequence);
        result.set_discarded(true);
      }
      return grpc::Status::OK;
    };
  }

  v1::Subscription shown_ = Billing();
  std::vector<v1::CreateSubscriptionRequest> created_;
  std::vector<v1::UpdateSubscriptionRequest> updated_;
  std::vector<std::string> deleted_;
  bool events_were_asked_for_ = false;
  std::vector<int64_t> redriven_;
  std::vector<int64_t> discarded_;
};

TEST_F(SubscriptionsTest, CreateSaysWhatWasAskedForAndNothingElse) {
  const Outcome outcome = Run({"subscriptions", "create", "billing", "--from", "latest", "--type",
                               "batch.failed", "--ack-deadline", "2m"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  ASSERT_EQ(created_.size(), 1u);
  EXPECT_EQ(created_[0].name(), "billing");
  EXPECT_EQ(created_[0].start().start_position(), v1::START_POSITION_LATEST);
  EXPECT_THAT(created_[0].settings().filter().types(), ElementsAre("batch.failed"));
  EXPECT_EQ(created_[0].settings().ack_deadline().seconds(), 120);
  EXPECT_FALSE(created_[0].settings().has_max_attempts());
  EXPECT_THAT(outcome.out, HasSubstr("type batch.failed"));
}

TEST_F(SubscriptionsTest, CreateHasNoSilentStart) {
  const Outcome outcome = Run({"subscriptions", "create", "billing"});
  EXPECT_EQ(outcome.exit_code, kWrongUsage);
  EXPECT_THAT(outcome.err, HasSubstr("where does it begin?"));
  EXPECT_EQ(Run({"subscriptions", "create", "b", "--from", "latest", "--since", "1h"}).exit_code,
            kWrongUsage);
  EXPECT_THAT(created_, IsEmpty());
}

TEST_F(SubscriptionsTest, ShowTellsHowFarBehindItIsAndWhoIsOnIt) {
  shown_.mutable_backlog()->set_lost_events(4);
  auto& consumer = *shown_.add_consumers();
  consumer.set_name("worker\n1");
  consumer.set_in_flight_messages(2);
  consumer.set_credit_messages(998);
  consumer.set_ack_rate(1.25);
  const Outcome outcome = Run({"subscriptions", "show", "billing"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out, HasSubstr("7 events, the oldest received 90 s ago"));
  EXPECT_THAT(outcome.out, HasSubstr("4 events: retention removed them"));
  EXPECT_THAT(outcome.out, HasSubstr("worker\\n1"));
  EXPECT_THAT(outcome.out, HasSubstr("998"));
  EXPECT_THAT(outcome.out, HasSubstr("1.2"));
}

// One that stands still since somebody paused it looked like one that nobody consumes.
TEST_F(SubscriptionsTest, ListSaysWhatKeepsOneFromWorking) {
  gateway_.subscriptions.list_subscriptions = [](const auto&, auto* response) {
    *response->add_subscriptions() = Billing();
    v1::Subscription& held = *response->add_subscriptions() = Billing();
    held.set_name("held");
    held.add_conditions(v1::SUBSCRIPTION_CONDITION_PAUSED);
    held.add_conditions(v1::SUBSCRIPTION_CONDITION_LEASES_FULL);
    held.add_conditions(static_cast<v1::SubscriptionCondition>(99));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"subscriptions", "list"}).out,
            "NAME     BACKLOG  OLDEST  IN FLIGHT  WAITING  DEAD  LOST  NOTE\n"
            "billing        7  90 s            2        0     0     0  -\n"
            "held           7  90 s            2        0     0     0  paused, leases full\n"
            "\n"
            "2 subscriptions\n");
}

// A filter with a typo, and a full list, were silence.
TEST_F(SubscriptionsTest, ShowTellsWhyNothingComes) {
  shown_.set_passed_events(1200);
  shown_.add_conditions(v1::SUBSCRIPTION_CONDITION_FILTER_ADMITS_NONE);
  shown_.add_conditions(v1::SUBSCRIPTION_CONDITION_UNSETTLED_FULL);
  shown_.mutable_backlog()->set_lost_events(10);
  shown_.mutable_backlog()->set_lost_unread_events(9);
  const Outcome outcome = Run({"subscriptions", "show", "billing"});
  EXPECT_THAT(outcome.out, HasSubstr("admitted 0 of 1200 that passed"));
  EXPECT_THAT(outcome.out, HasSubstr("is it right?"));
  EXPECT_THAT(outcome.out, HasSubstr("nothing new is taken"));
  EXPECT_THAT(outcome.out, HasSubstr("1 event: retention removed them before they were acked; and "
                                     "up to 9 events"));
}

TEST_F(SubscriptionsTest, LostDeliveriesCanBeLimited) {
  EXPECT_EQ(Run({"subscriptions", "update", "billing", "--max-lost-deliveries", "2"}).exit_code,
            kSuccess);
  ASSERT_EQ(updated_.size(), 1u);
  EXPECT_EQ(updated_[0].settings().max_lost_deliveries(), 2);
  EXPECT_EQ(updated_[0].settings().max_attempts(), 10);
  EXPECT_EQ(Run({"subscriptions", "update", "billing", "--max-lost-deliveries", "0"}).exit_code,
            kWrongUsage);
}

// "4321 min" stood where three days were meant.
TEST_F(SubscriptionsTest, AnAgeIsInUnitsThatNeedNoArithmetic) {
  *shown_.mutable_backlog()->mutable_oldest_unacked_age() = ToProto(absl::Minutes(4321));
  EXPECT_THAT(Run({"subscriptions", "show", "billing"}).out,
              HasSubstr("7 events, the oldest received 3 d ago"));
  *shown_.mutable_backlog()->mutable_oldest_unacked_age() = ToProto(absl::Minutes(312.5));
  EXPECT_THAT(Run({"subscriptions", "show", "billing"}).out, HasSubstr("received 5 h 12 min ago"));
}

TEST_F(SubscriptionsTest, ShowInJsonIsTheMessage) {
  const Outcome outcome = Run({"subscriptions", "show", "billing", "--output", "json"});
  EXPECT_THAT(outcome.out, HasSubstr(R"("backlog":{"events":"7")"));
}

TEST_F(SubscriptionsTest, OneThatIsNotThereHasItsOwnExitCode) {
  gateway_.subscriptions.get_subscription = [](const auto&, auto*) {
    return GatewayStatus(grpc::StatusCode::NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", "there is none");
  };
  const Outcome outcome = Run({"subscriptions", "show", "billing"});
  EXPECT_EQ(outcome.exit_code, kNotFound);
  EXPECT_THAT(outcome.err, HasSubstr("there is none"));
}

TEST_F(SubscriptionsTest, UpdateLeavesAloneWhatIsNotNamed) {
  const Outcome outcome = Run({"subscriptions", "update", "billing", "--max-attempts", "3"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  ASSERT_EQ(updated_.size(), 1u);
  EXPECT_EQ(updated_[0].settings().max_attempts(), 3);
  EXPECT_EQ(updated_[0].settings().ack_deadline().seconds(), 30);
  EXPECT_THAT(updated_[0].settings().filter().types(), ElementsAre("batch.failed"));
}

TEST_F(SubscriptionsTest, UpdateCanDropTheFilter) {
  EXPECT_EQ(Run({"subscriptions", "update", "billing", "--all-events"}).exit_code, kSuccess);
  EXPECT_THAT(updated_[0].settings().filter().types(), IsEmpty());
  EXPECT_EQ(Run({"subscriptions", "update", "billing"}).exit_code, kWrongUsage);
}

// Two operators read the settings, and each wrote all of them back: one change was lost.
TEST_F(SubscriptionsTest, UpdateNamesWhatItChangesAndWhatItHasSeen) {
  shown_.set_etag("1-abc");
  EXPECT_EQ(Run({"subscriptions", "update", "billing", "--type", "batch.*", "--max-attempts", "3",
                 "--min-backoff", "2s"})
                .exit_code,
            kSuccess);
  ASSERT_EQ(updated_.size(), 1u);
  EXPECT_EQ(updated_[0].etag(), "1-abc");
  EXPECT_THAT(updated_[0].update_mask().paths(),
              ElementsAre("filter.types", "max_attempts", "minimum_backoff"));
  EXPECT_EQ(Run({"subscriptions", "update", "billing", "--all-events", "--subject", "s", "--etag",
                 "1-old"})
                .exit_code,
            kSuccess);
  EXPECT_EQ(updated_[1].etag(), "1-old");
  EXPECT_THAT(updated_[1].update_mask().paths(), ElementsAre("filter"));
}

TEST_F(SubscriptionsTest, WhoeverComesSecondIsTold) {
  gateway_.subscriptions.update_subscription = [](const auto&, auto*) {
    return GatewayStatus(grpc::StatusCode::ABORTED, "ETAG_MISMATCH", "it was changed");
  };
  const Outcome outcome = Run({"subscriptions", "update", "billing", "--max-attempts", "3"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("it was changed"));
}

TEST_F(SubscriptionsTest, PauseAndResumeSayHowItIsNow) {
  std::vector<std::string> calls;
  gateway_.subscriptions.pause_subscription = [&](const auto& request, auto* response) {
    calls.push_back("pause " + request.name() + " " + request.etag());
    *response->mutable_subscription() = Billing();
    *response->mutable_subscription()->mutable_pause_time() =
        ToProto(clock_.WallNow() - absl::Minutes(3));
    response->mutable_subscription()->add_conditions(v1::SUBSCRIPTION_CONDITION_PAUSED);
    return grpc::Status::OK;
  };
  gateway_.subscriptions.resume_subscription = [&](const auto& request, auto* response) {
    calls.push_back("resume " + request.name() + " " + request.etag());
    *response->mutable_subscription() = Billing();
    return grpc::Status::OK;
  };
  const Outcome paused = Run({"subscriptions", "pause", "billing"});
  EXPECT_EQ(paused.exit_code, kSuccess) << paused.err;
  EXPECT_THAT(paused.out, HasSubstr("paused since"));
  EXPECT_THAT(paused.out, HasSubstr("until hookgate subscriptions resume"));
  const Outcome resumed = Run({"subscriptions", "resume", "billing", "--etag", "1-abc"});
  EXPECT_EQ(resumed.exit_code, kSuccess) << resumed.err;
  EXPECT_THAT(resumed.out, Not(HasSubstr("paused")));
  EXPECT_THAT(calls, ElementsAre("pause billing ", "resume billing 1-abc"));
}

TEST_F(SubscriptionsTest, DeleteAsksFirst) {
  EXPECT_EQ(Run({"subscriptions", "delete", "billing"}).exit_code, kWrongUsage);
  in_is_terminal_ = true;
  in_ = "n\n";
  EXPECT_EQ(Run({"subscriptions", "delete", "billing"}).exit_code, kFailed);
  EXPECT_THAT(deleted_, IsEmpty());
  EXPECT_EQ(Run({"subscriptions", "delete", "billing", "--yes"}).exit_code, kSuccess);
  EXPECT_THAT(deleted_, ElementsAre("billing"));
}

TEST_F(SubscriptionsTest, DeadLettersAreListedOverPagesAndSafeForATerminal) {
  const Outcome outcome = Run({"dead-letters", "list", "billing"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_TRUE(events_were_asked_for_);
  EXPECT_THAT(outcome.out, HasSubstr("2 dead letters"));
  EXPECT_THAT(outcome.out, HasSubstr("(removed by retention)"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

TEST_F(SubscriptionsTest, DeliveriesAskForWhatTheFlagsSayAndShowWhyAnEventWaits) {
  std::vector<v1::ListDeliveriesRequest> asked;
  gateway_.subscriptions.list_deliveries = [&](const auto& request, auto* response) {
    asked.push_back(request);
    if (request.page_token().empty()) {  // An empty page with more behind it.
      response->set_next_page_token("next");
      return grpc::Status::OK;
    }
    auto& waiting = *response->add_deliveries();
    waiting.set_sequence(7);
    waiting.set_type("batch.failed");
    *waiting.mutable_receive_time() = ToProto(clock_.WallNow());
    waiting.mutable_delivery()->set_state(v1::DELIVERY_STATE_WAITING);
    waiting.mutable_delivery()->set_attempt(3);
    waiting.mutable_delivery()->set_delivery_count(5);
    waiting.mutable_delivery()->set_reason("no \x1b[31mroute");
    *waiting.mutable_delivery()->mutable_until_time() =
        ToProto(clock_.WallNow() + absl::Minutes(5));
    auto& dead = *response->add_deliveries();
    dead.set_sequence(3);
    dead.mutable_delivery()->set_state(v1::DELIVERY_STATE_DEAD_LETTERED);
    dead.mutable_delivery()->set_consumer("worker-1");
    dead.mutable_delivery()->set_attempt(10);
    return grpc::Status::OK;
  };
  const Outcome outcome = Run({"deliveries", "billing", "--state", "waiting", "--state", "dead",
                               "--reason", "route", "--consumer", "worker-1", "--order", "oldest"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[1].page_token(), "next");
  EXPECT_EQ(asked[0].subscription(), "billing");
  EXPECT_THAT(asked[0].states(),
              ElementsAre(v1::DELIVERY_STATE_WAITING, v1::DELIVERY_STATE_DEAD_LETTERED));
  EXPECT_EQ(asked[0].reason_contains(), "route");
  EXPECT_EQ(asked[0].consumer(), "worker-1");
  EXPECT_EQ(asked[0].order(), v1::ORDER_OLDEST_FIRST);
  EXPECT_THAT(outcome.out, HasSubstr("waiting"));
  EXPECT_THAT(outcome.out, HasSubstr("3 of 5"));
  EXPECT_THAT(outcome.out, HasSubstr("in 5 min"));
  EXPECT_THAT(outcome.out, HasSubstr("worker-1"));
  EXPECT_THAT(outcome.out, HasSubstr("(removed by retention)"));
  EXPECT_THAT(outcome.out, HasSubstr("2 delivered events"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(Run({"deliveries", "billing", "--output", "json"}).out,
              HasSubstr(R"("state":"DELIVERY_STATE_WAITING")"));
  // The events of a paused subscription looked as if they would come in five minutes.
  EXPECT_THAT(outcome.out, Not(HasSubstr("Paused")));
  *shown_.mutable_pause_time() = ToProto(clock_.WallNow() - absl::Minutes(5));
  EXPECT_THAT(Run({"deliveries", "billing"}).out,
              HasSubstr("(5 min ago): nothing is handed out until `hookgate subscriptions resume "
                        "billing`.\n"));
  EXPECT_THAT(Run({"deliveries", "billing", "--output", "json"}).out, Not(HasSubstr("Paused")));
  EXPECT_EQ(Run({"deliveries", "billing", "--state", "filtered"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"deliveries"}).exit_code, kWrongUsage);
}

TEST_F(SubscriptionsTest, RedriveTellsWhatBecameOfEach) {
  const Outcome outcome = Run({"dead-letters", "redrive", "billing", "3", "5"});
  EXPECT_EQ(outcome.exit_code, kFailed) << "one could not be";
  EXPECT_THAT(redriven_, ElementsAre(3, 5));
  EXPECT_EQ(outcome.out, "3 redriven\n5 its event was removed by retention\n");
  EXPECT_EQ(Run({"dead-letters", "redrive", "billing", "3"}).exit_code, kSuccess);
}

TEST_F(SubscriptionsTest, WhichDeadLettersMustBeSaid) {
  EXPECT_THAT(Run({"dead-letters", "redrive", "billing"}).err, HasSubstr("nothing is selected"));
  EXPECT_THAT(Run({"dead-letters", "redrive", "billing", "3", "--all"}).err,
              HasSubstr("but only one of these"));
  EXPECT_THAT(Run({"dead-letters", "discard", "billing", "x", "--yes"}).err,
              HasSubstr("is not a sequence"));
  EXPECT_THAT(redriven_, IsEmpty());
}

TEST_F(SubscriptionsTest, DiscardAsksFirst) {
  EXPECT_EQ(Run({"dead-letters", "discard", "billing", "3"}).exit_code, kWrongUsage);
  EXPECT_THAT(discarded_, IsEmpty());
  const Outcome outcome = Run({"dead-letters", "discard", "billing", "3", "5", "--yes"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(discarded_, ElementsAre(3, 5));
}

// --- Jobs. ---

v1::Job RunningJob(v1::Job::Kind kind) {
  v1::Job job;
  job.set_job_id(3);
  job.set_subscription("billing");
  job.set_kind(kind);
  job.set_state(v1::Job::STATE_RUNNING);
  job.set_last_sequence(50);
  return job;
}

class JobsTest : public SubscriptionsTest {
 protected:
  JobsTest() {
    gateway_.subscriptions.redeliver_events = [this](const auto& request, auto* response) {
      redelivered_.push_back(request);
      for (const int64_t sequence : request.sequences()) {
        auto& result = *response->add_results();
        result.set_sequence(sequence);
        result.set_outcome(sequence == 4 ? v1::RedeliverEventsResponse::OUTCOME_UNSETTLED
                                         : v1::RedeliverEventsResponse::OUTCOME_REDELIVERED);
      }
      Answer(request, v1::Job::KIND_REDELIVER_EVENTS, response);
      return grpc::Status::OK;
    };
    gateway_.subscriptions.redrive_dead_letters = [this](const auto& request, auto* response) {
      selections_.push_back(request.selection());
      Answer(request, v1::Job::KIND_REDRIVE_DEAD_LETTERS, response);
      return grpc::Status::OK;
    };
    gateway_.subscriptions.discard_dead_letters = [this](const auto& request, auto* response) {
      selections_.push_back(request.selection());
      Answer(request, v1::Job::KIND_DISCARD_DEAD_LETTERS, response);
      return grpc::Status::OK;
    };
    // The second question finds it ended.
    gateway_.subscriptions.get_job = [this](const auto& request, auto* response) {
      EXPECT_EQ(request.subscription(), "billing");
      EXPECT_EQ(request.job_id(), 3);
      *response->mutable_job() = job_;
      job_.set_done_count(5);
      job_.set_matched_count(7);
      job_.set_state(end_);
      return grpc::Status::OK;
    };
  }
  template <typename Request, typename Response>
  void Answer(const Request& request, v1::Job::Kind kind, Response* response) {
    if (!request.has_selection()) return;
    if (request.preview()) {
      *response->mutable_preview() = preview_;
      return;
    }
    ++started_;
    job_ = RunningJob(kind);
    *response->mutable_job() = job_;
  }

  v1::SelectionPreview preview_ = [] {
    v1::SelectionPreview preview;
    preview.set_count(7);
    preview.add_first_sequences(2);
    preview.add_first_sequences(9);
    return preview;
  }();
  v1::Job job_;
  v1::Job::State end_ = v1::Job::STATE_SUCCEEDED;
  int started_ = 0;
  std::vector<v1::RedeliverEventsRequest> redelivered_;
  std::vector<v1::DeadLetterSelection> selections_;
};

TEST_F(JobsTest, RedeliversWhatIsNamedAndTellsWhatBecameOfEach) {
  const Outcome outcome = Run({"subscriptions", "redeliver", "billing", "3", "4"});
  EXPECT_EQ(outcome.exit_code, kFailed) << "one is on its way already";
  EXPECT_EQ(outcome.out, "3 redelivered\n4 on its way already\n");
  ASSERT_EQ(redelivered_.size(), 1u);
  EXPECT_THAT(redelivered_[0].sequences(), ElementsAre(3, 4));
  EXPECT_FALSE(redelivered_[0].has_selection());
  EXPECT_EQ(Run({"subscriptions", "redeliver", "billing", "3"}).exit_code, kSuccess);
}

TEST_F(JobsTest, RedeliversAWindowAndFollowsTheJobToItsEnd) {
  const Outcome outcome = Run({"subscriptions", "redeliver", "billing", "--since", "2h", "--type",
                               "batch.failed", "--include-not-admitted"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  EXPECT_EQ(outcome.out, "job 3: 5 redelivered, 2 left alone\n");
  ASSERT_EQ(redelivered_.size(), 2u);
  EXPECT_TRUE(redelivered_[0].preview());
  EXPECT_FALSE(redelivered_[1].preview());
  const v1::EventSelection& selection = redelivered_[1].selection();
  EXPECT_EQ(selection.start_time().seconds(),
            absl::ToUnixSeconds(clock_.WallNow() - absl::Hours(2)));
  EXPECT_FALSE(selection.has_end_time());
  EXPECT_THAT(selection.filter().types(), ElementsAre("batch.failed"));
  EXPECT_TRUE(selection.include_not_admitted());
}

TEST_F(JobsTest, APreviewStartsNothing) {
  Outcome outcome = Run({"subscriptions", "redeliver", "billing", "--since", "2h", "--preview"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out, "7 events, the first with the sequences 2, 9\n");
  preview_.set_count_truncated(true);
  outcome = Run({"dead-letters", "discard", "billing", "--cause", "nacked", "--preview"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << "nothing to confirm: " << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("at least 7 dead letters"));
  EXPECT_EQ(started_, 0);
}

TEST_F(JobsTest, NothingToDoStartsNothing) {
  preview_ = v1::SelectionPreview();
  EXPECT_EQ(Run({"dead-letters", "redrive", "billing", "--type", "a"}).out,
            "There is nothing to redrive.\n");
  EXPECT_EQ(started_, 0);
}

TEST_F(JobsTest, DeadLettersAreLookedForByTheGateway) {
  const Outcome outcome =
      Run({"dead-letters", "redrive", "billing", "--reason-contains", "no route", "--cause",
           "stream-lost", "--older-than", "1d", "--source", "mail"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  EXPECT_EQ(outcome.out, "job 3: 5 redriven, 2 left alone\n");
  ASSERT_EQ(selections_.size(), 2u);
  EXPECT_EQ(selections_[1].reason_contains(), "no route");
  EXPECT_THAT(selections_[1].causes(), ElementsAre(v1::DeadLetter::CAUSE_STREAM_LOST));
  EXPECT_EQ(selections_[1].end_time().seconds(),
            absl::ToUnixSeconds(clock_.WallNow() - absl::Hours(24)));
  EXPECT_THAT(selections_[1].filter().sources(), ElementsAre("mail"));
}

// All sequences were listed first, and sent back a thousand at a time: a million dead letters took
// a thousand calls, and those beyond the bound of unsettled events were refused.
TEST_F(JobsTest, AllDeadLettersAreAJobOfTheGateway) {
  const Outcome outcome = Run({"dead-letters", "redrive", "billing", "--all"});
  EXPECT_EQ(outcome.exit_code, kSuccess) << outcome.err;
  EXPECT_EQ(outcome.out, "job 3: 5 redriven, 2 left alone\n");
  ASSERT_EQ(selections_.size(), 2u);
  EXPECT_THAT(selections_[1].filter().SerializeAsString(), IsEmpty());
  EXPECT_THAT(selections_[1].causes(), IsEmpty());
  EXPECT_FALSE(selections_[1].has_end_time());
  EXPECT_THAT(Run({"dead-letters", "discard", "billing", "--all", "--preview"}).out,
              HasSubstr("7 dead letters"));
  EXPECT_EQ(started_, 1);
  EXPECT_EQ(Run({"dead-letters", "discard", "billing", "--all"}).exit_code, kWrongUsage);
  EXPECT_EQ(Run({"dead-letters", "discard", "billing", "--all", "--yes"}).exit_code, kSuccess);
  EXPECT_EQ(started_, 2);
  EXPECT_FALSE(events_were_asked_for_);
}

TEST_F(JobsTest, ADiscardSaysHowManyAndAsksFirst) {
  const std::vector<std::string> discard = {"dead-letters", "discard", "billing", "--type", "a"};
  EXPECT_EQ(Run(discard).exit_code, kWrongUsage) << "nobody to ask";
  in_is_terminal_ = true;
  in_ = "n\n";
  const Outcome outcome = Run(discard);
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("Discard 7 dead letters permanently?"));
  EXPECT_EQ(started_, 0);
  in_ = "y\n";
  EXPECT_EQ(Run(discard).exit_code, kSuccess);
  EXPECT_EQ(started_, 1);
}

TEST_F(JobsTest, CtrlCLeavesTheJobToTheGateway) {
  gateway_.subscriptions.get_job = [this](const auto&, auto* response) {
    *response->mutable_job() = job_;
    interrupt_.Trigger();
    return grpc::Status::OK;
  };
  const Outcome outcome = Run({"subscriptions", "redeliver", "billing", "--since", "2h"});
  EXPECT_EQ(outcome.exit_code, kInterrupted);
  EXPECT_THAT(outcome.err, HasSubstr("goes on without this command"));
  EXPECT_THAT(outcome.err, HasSubstr("hookgate jobs cancel billing 3"));
}

TEST_F(JobsTest, DetachedItIsNotWaitedFor) {
  const Outcome outcome =
      Run({"subscriptions", "redeliver", "billing", "--since", "2h", "--detach"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out, HasSubstr("job 3: 0 redelivered so far"));
}

TEST_F(JobsTest, AJobThatDidNotComeToItsEndIsAFailure) {
  end_ = v1::Job::STATE_CANCELLED;
  const Outcome outcome = Run({"subscriptions", "redeliver", "billing", "--since", "2h"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("5 redelivered, 2 left alone, then it was cancelled"));
}

TEST_F(JobsTest, WhichOnesMustBeSaidOnce) {
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {"subscriptions", "redeliver", "billing"},
           {"subscriptions", "redeliver", "billing", "--type", "a"},
           {"subscriptions", "redeliver", "billing", "3", "--since", "2h"},
           {"subscriptions", "redeliver", "billing", "3", "--preview"},
           {"subscriptions", "redeliver", "billing", "x"},
           {"dead-letters", "redrive", "billing", "3", "--type", "a"},
           {"dead-letters", "redrive", "billing", "--all", "--type", "a"},
           {"dead-letters", "redrive", "billing", "3", "--preview"},
           {"dead-letters", "redrive", "billing", "--cause", "bad luck"},
           {"jobs", "cancel", "billing", "0"},
           {"jobs", "cancel", "billing", "x"}}) {
    EXPECT_EQ(Run(wrong).exit_code, kWrongUsage) << wrong.back();
  }
  EXPECT_EQ(started_, 0);
  EXPECT_THAT(redelivered_, IsEmpty());
}

TEST_F(JobsTest, ListsAndCancels) {
  gateway_.subscriptions.list_jobs = [](const auto& request, auto* response) {
    EXPECT_EQ(request.subscription(), "billing");
    v1::Job& job = *response->add_jobs();
    job = RunningJob(v1::Job::KIND_REDRIVE_DEAD_LETTERS);
    job.set_waiting_for_consumers(true);
    v1::Job& failed = *response->add_jobs();
    failed = RunningJob(v1::Job::KIND_REDELIVER_EVENTS);
    failed.set_state(v1::Job::STATE_FAILED);
    failed.set_error("a page is \x1b[31mdamaged");
    return grpc::Status::OK;
  };
  gateway_.subscriptions.cancel_job = [](const auto& request, auto* response) {
    EXPECT_EQ(request.job_id(), 3);
    *response->mutable_job() = RunningJob(v1::Job::KIND_REDRIVE_DEAD_LETTERS);
    response->mutable_job()->set_state(v1::Job::STATE_CANCELLED);
    return grpc::Status::OK;
  };
  const Outcome list = Run({"jobs", "list", "billing"});
  EXPECT_EQ(list.exit_code, kSuccess) << list.err;
  EXPECT_THAT(list.out, HasSubstr("redrive dead letters"));
  EXPECT_THAT(list.out, HasSubstr("waits for consumers"));
  EXPECT_THAT(list.out, HasSubstr("2 jobs"));
  EXPECT_THAT(list.out, Not(HasSubstr("\x1b")));
  const Outcome cancelled = Run({"jobs", "cancel", "billing", "3"});
  EXPECT_EQ(cancelled.exit_code, kSuccess) << cancelled.err;
  EXPECT_EQ(cancelled.out, "job 3: 0 redriven, then it was cancelled\n");
}

}  // namespace
}  // namespace hookgate::cli
