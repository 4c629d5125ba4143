// What becomes of webhooks that come to a follower, also while the leader changes.
#include "server/cluster/leader_sink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/cluster/peer.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_peer_connection.h"

namespace hookgate {
namespace {

using cluster::v1::AppendRequest;
using cluster::v1::AppendResponse;
using cluster::v1::QuarantineRequest;
using Outcome = AppendResult::Outcome;
using Result = absl::StatusOr<AppendResult>;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kTimeout = absl::Seconds(3);
constexpr Sequence kHere = 1000;  // what this replica's own log gives first

absl::Status NoLeader() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader, "it does not lead");
}

// This replica's log: stores, or refuses as that of a follower does.
class OwnLog final : public EventSink {
 public:
  void Append(std::unique_ptr<StoredEvent> event, AppendDone done) override {
    AppendResult result;
    {
      absl::MutexLock lock(&mu_);
      result.sequence = kHere + static_cast<Sequence>(events_.size());
      events_.push_back(*event);
    }
    if (!leads) return std::move(done)(NoLeader());
    std::move(done)(std::move(result));
  }
  void Quarantine(std::unique_ptr<QuarantinedWebhook> webhook, QuarantineDone done) override {
    {
      absl::MutexLock lock(&mu_);
      quarantined_.push_back(*webhook);
    }
    std::move(done)(leads ? absl::OkStatus() : NoLeader());
  }

  std::vector<StoredEvent> events() const {
    absl::MutexLock lock(&mu_);
    return events_;
  }
  std::vector<QuarantinedWebhook> quarantined() const {
    absl::MutexLock lock(&mu_);
    return quarantined_;
  }

  std::atomic<bool> leads = false;

 private:
  mutable absl::Mutex mu_;
  std::vector<StoredEvent> events_ ABSL_GUARDED_BY(mu_);
  std::vector<QuarantinedWebhook> quarantined_ ABSL_GUARDED_BY(mu_);
};

std::unique_ptr<StoredEvent> Event(const std::string& webhook_id) {
  auto event = std::make_unique<StoredEvent>();
  event->source = "openai";
  event->webhook_id = webhook_id;
  event->type = "batch.failed";
  event->subject = "batch_1";
  event->failure = true;
  event->receive_time = absl::FromUnixMicros(1'750'000'000'123'456);
  event->envelope = std::string("\0envelope", 9);
  event->raw_body = "{}";
  event->event_id = "evt_1";
  event->secrets = "main\nnext";
  return event;
}

std::string Stored(Sequence sequence,
                   AppendResponse::Outcome outcome = AppendResponse::OUTCOME_STORED) {
  AppendResponse response;
  response.set_outcome(outcome);
  response.set_sequence(sequence);
  return response.SerializeAsString();
}

class LeaderSinkTest : public testing::Test {
 protected:
  void Lead(FakePeerConnection& leader) { route_.Set({.leader = &leader}); }
  void LeadHere() {
    own_.leads = true;
    route_.Set({.here = true});
  }
  void LoseLeader(absl::Duration since = absl::ZeroDuration()) {
    route_.Set({.without_leader = since});
  }

  std::future<Result> Append(const std::string& webhook_id) {
    auto answer = std::make_shared<std::promise<Result>>();
    sink_.Append(Event(webhook_id), [answer](Result result) { answer->set_value(result); });
    return answer->get_future();
  }
  std::future<absl::Status> Quarantine(const std::string& webhook_id) {
    auto webhook = std::make_unique<QuarantinedWebhook>();
    webhook->source = "openai";
    webhook->webhook_id = webhook_id;
    webhook->webhook_time = absl::FromUnixSeconds(17);
    webhook->receive_time = absl::FromUnixSeconds(18);
    webhook->reason = "body_not_json";
    webhook->detail = "why";
    webhook->raw_body = "{";
    webhook->trace = "t";
    auto answer = std::make_shared<std::promise<absl::Status>>();
    sink_.Quarantine(std::move(webhook),
                     [answer](const absl::Status& status) { answer->set_value(status); });
    return answer->get_future();
  }
  template <typename Future>
  static bool IsReady(Future& future) {
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  static AppendRequest Asked(const FakePeerCall& call) {
    AppendRequest request;
    EXPECT_THAT(call.written(), SizeIs(1));
    EXPECT_TRUE(request.ParseFromString(call.written().front()));
    return request;
  }

  FakeClock clock_;
  FakeLeaderRoute route_;
  FakePeerConnection first_;
  FakePeerConnection second_;
  OwnLog own_;
  LeaderSink sink_{route_, own_, clock_, {.max_webhooks = 3, .max_bytes = 2000}, kTimeout};
};

TEST_F(LeaderSinkTest, WhileThisReplicaLeadsItsOwnLogStores) {
  LeadHere();
  EXPECT_EQ(Append("wh_1").get()->sequence, kHere);
  EXPECT_TRUE(Quarantine("wh_2").get().ok());
  EXPECT_EQ(first_.calls(), 0u);
}

TEST_F(LeaderSinkTest, TheLeaderIsGivenAllOfAWebhook) {
  Lead(first_);
  auto answer = Append("wh_1");
  const auto call = first_.AwaitAsked(1);
  EXPECT_EQ(call->method, "/hookgate.cluster.v1.PeerService/Append");
  EXPECT_EQ(call->timeout, kTimeout);
  const AppendRequest asked = Asked(*call);
  EXPECT_EQ(asked.source(), "openai");
  EXPECT_EQ(asked.webhook_id(), "wh_1");
  EXPECT_EQ(asked.type(), "batch.failed");
  EXPECT_EQ(asked.subject(), "batch_1");
  EXPECT_TRUE(asked.failure());
  EXPECT_EQ(asked.receive_time_us(), 1'750'000'000'123'456);
  EXPECT_EQ(asked.envelope(), std::string("\0envelope", 9));
  EXPECT_EQ(asked.raw_body(), "{}");
  EXPECT_EQ(asked.event_id(), "evt_1");
  EXPECT_EQ(asked.secrets(), "main\nnext");
  EXPECT_FALSE(IsReady(answer)) << "before the leader has stored it";
  call->Answer(Stored(7));
  const Result result = answer.get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, Outcome::kStored);
  EXPECT_EQ(result->sequence, 7);
  EXPECT_THAT(own_.events(), IsEmpty());
}

TEST_F(LeaderSinkTest, WhatTheLeaderAnswersIsTheSendersAnswer) {
  Lead(first_);
  size_t number = 0;
  const auto ask = [&](auto&& reply) {
    auto answer = Append("wh_1");
    reply(*first_.AwaitAsked(++number));
    return answer.get();
  };
  const auto says = [](AppendResponse::Outcome outcome) {
    return [outcome](FakePeerCall& call) { call.Answer(Stored(5, outcome)); };
  };
  EXPECT_EQ(ask(says(AppendResponse::OUTCOME_DUPLICATE))->outcome, Outcome::kDuplicate);
  EXPECT_EQ(ask(says(AppendResponse::OUTCOME_CONFLICT))->outcome, Outcome::kConflict);
  const absl::Status full =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kQueueFull, "full");
  EXPECT_EQ(ask([&](FakePeerCall& call) { call.End(full); }).status(), full);
  const absl::Status disk =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kStoreUnavailable, "disk");
  EXPECT_EQ(ask([&](FakePeerCall& call) { call.End(disk); }).status(), disk);
  // Of a version that knows more, or of a damaged memory.
  for (const std::string& odd :
       {Stored(5, AppendResponse::OUTCOME_UNSPECIFIED), std::string("\xff\xff")}) {
    const absl::Status unreadable = ask([&](FakePeerCall& call) { call.Answer(odd); }).status();
    EXPECT_EQ(ReasonOf(unreadable), reason::kNoLeader) << unreadable;
  }
}

TEST_F(LeaderSinkTest, QuarantineGoesTheSameWay) {
  Lead(first_);
  auto answer = Quarantine("wh_1");
  const auto call = first_.AwaitAsked(1);
  EXPECT_EQ(call->method, "/hookgate.cluster.v1.PeerService/Quarantine");
  QuarantineRequest asked;
  ASSERT_TRUE(asked.ParseFromString(call->written().front()));
  EXPECT_EQ(asked.webhook_id(), "wh_1");
  EXPECT_EQ(asked.webhook_time_us(), 17'000'000);
  EXPECT_EQ(asked.receive_time_us(), 18'000'000);
  EXPECT_EQ(asked.reason(), "body_not_json");
  EXPECT_EQ(asked.detail(), "why");
  EXPECT_EQ(asked.raw_body(), "{");
  EXPECT_EQ(asked.trace(), "t");
  call->End(NoLeader());
  EXPECT_FALSE(IsReady(answer));
  LeadHere();
  route_.news().Announce();
  EXPECT_TRUE(answer.get().ok());
  ASSERT_THAT(own_.quarantined(), SizeIs(1));
  EXPECT_EQ(own_.quarantined()[0].detail, "why");
  EXPECT_EQ(own_.quarantined()[0].webhook_time, absl::FromUnixSeconds(17));
}

// A leader that ends refuses what followers hand on until another one leads. Their senders were
// answered 503 for that, and come again after seconds.
TEST_F(LeaderSinkTest, WhatALeaderThatLeavesRefusesIsStoredByTheNextOne) {
  const absl::Status draining =
      ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining, "it goes down");
  const absl::Status broken = absl::UnavailableError("the connection is closed");
  size_t number = 0;
  for (const absl::Status& refusal : {NoLeader(), draining, broken}) {
    ++number;
    Lead(first_);
    auto answer = Append("wh_1");
    const std::string asked = first_.AwaitAsked(number)->written().front();
    first_.AwaitAsked(number)->End(refusal);
    EXPECT_FALSE(IsReady(answer)) << refusal;
    Lead(second_);
    route_.news().Announce();
    const auto again = second_.AwaitAsked(number);
    EXPECT_THAT(again->written(), ElementsAre(asked)) << refusal;
    again->Answer(Stored(8));
    EXPECT_EQ(answer.get()->sequence, 8) << refusal;
  }
}

TEST_F(LeaderSinkTest, WithoutALeaderAWebhookWaitsForOne) {
  LoseLeader();
  auto answer = Append("wh_1");
  auto another = Append("wh_2");
  EXPECT_FALSE(IsReady(answer));
  clock_.Advance(absl::Seconds(1));
  Lead(first_);
  route_.news().Announce();
  EXPECT_EQ(first_.AwaitAsked(1)->timeout, kTimeout - absl::Seconds(1)) << "its time goes on";
  first_.AwaitAsked(1)->Answer(Stored(3));
  first_.AwaitAsked(2)->Answer(Stored(4));
  EXPECT_EQ(answer.get()->sequence, 3);
  EXPECT_EQ(another.get()->sequence, 4);
}

TEST_F(LeaderSinkTest, TheNextLeaderMayBeThisReplica) {
  Lead(first_);
  auto answer = Append("wh_1");
  first_.AwaitAsked(1)->End(NoLeader());
  LeadHere();
  route_.news().Announce();
  EXPECT_EQ(answer.get()->sequence, kHere);
  const std::vector<StoredEvent> events = own_.events();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].webhook_id, "wh_1");
  EXPECT_EQ(events[0].envelope, std::string("\0envelope", 9));
  EXPECT_EQ(events[0].receive_time, absl::FromUnixMicros(1'750'000'000'123'456));
  EXPECT_EQ(events[0].secrets, "main\nnext");
}

// A leader that has begun its term refuses until it decides, and then says so: that must not be
// overlooked if it overtakes the refusal.
TEST_F(LeaderSinkTest, NewsThatOvertakesTheRefusalCounts) {
  Lead(first_);
  auto answer = Append("wh_1");
  const auto refused = first_.AwaitAsked(1);
  route_.news().Announce();
  refused->End(NoLeader());
  first_.AwaitAsked(2)->Answer(Stored(9));
  EXPECT_EQ(answer.get()->sequence, 9);
}

TEST_F(LeaderSinkTest, ALeaderThatRefusesIsNotAskedAgainWithoutNews) {
  Lead(first_);
  auto answer = Append("wh_1");
  first_.AwaitAsked(1)->End(NoLeader());
  auto another = Append("wh_2");  // goes through the sink's thread behind it
  first_.AwaitAsked(2)->End(NoLeader());
  route_.news().Wake();
  LeadHere();
  EXPECT_EQ(Append("wh_3").get()->sequence, kHere);
  EXPECT_EQ(first_.calls(), 2u);
  EXPECT_FALSE(IsReady(answer));
  route_.news().Announce();
  EXPECT_TRUE(answer.get().ok());
  EXPECT_TRUE(another.get().ok());
}

TEST_F(LeaderSinkTest, ASenderIsAnsweredWhenItsTimeIsOver) {
  Lead(first_);
  auto refused = Append("wh_1");
  first_.AwaitAsked(1)->End(NoLeader());
  auto silent = Append("wh_2");
  EXPECT_FALSE(IsReady(refused));
  clock_.Advance(kTimeout);
  LoseLeader();
  route_.news().Wake();
  EXPECT_EQ(ReasonOf(refused.get().status()), reason::kNoLeader);
  first_.AwaitAsked(2)->End(absl::DeadlineExceededError("it says nothing"));
  const absl::Status unknown = silent.get().status();
  EXPECT_EQ(ReasonOf(unknown), reason::kNoLeader);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("whether it has stored this is not known"));
}

// Nobody waits in vain while the engine is away for an hour.
TEST_F(LeaderSinkTest, WhenThereHasBeenNoLeaderForLongNobodyWaits) {
  LoseLeader(kTimeout);
  auto answer = Append("wh_1");
  ASSERT_TRUE(IsReady(answer));
  EXPECT_EQ(ReasonOf(answer.get().status()), reason::kNoLeader);
  LoseLeader(absl::InfiniteDuration());
  EXPECT_EQ(ReasonOf(Quarantine("wh_1").get()), reason::kNoLeader);
}

// A follower that could not reach the leader, whom the log still named, let each sender wait for
// the whole time-out.
TEST_F(LeaderSinkTest, WhenNoLeaderCanBeReachedForLongNobodyWaits) {
  Lead(first_);
  auto first = Append("wh_1");
  first_.AwaitAsked(1)->End(absl::UnavailableError("connection refused"));
  EXPECT_FALSE(IsReady(first));
  clock_.Advance(kTimeout);
  auto second = Append("wh_2");
  first_.AwaitAsked(2)->End(absl::UnavailableError("connection refused"));
  EXPECT_EQ(ReasonOf(second.get().status()), reason::kNoLeader);
  auto third = Append("wh_3");
  first_.AwaitAsked(3)->Answer(Stored(7));
  EXPECT_EQ(third.get()->sequence, 7);
  auto fourth = Append("wh_4");  // It was reached since, so that this one waits.
  first_.AwaitAsked(4)->End(absl::UnavailableError("connection refused"));
  EXPECT_FALSE(IsReady(fourth));
}

TEST_F(LeaderSinkTest, WhatIsOnItsWayAndWhatWaitsHasOneBound) {
  Lead(first_);
  std::vector<std::future<Result>> answers;
  answers.push_back(Append("wh_1"));
  answers.push_back(Append("wh_2"));
  first_.AwaitAsked(2)->End(NoLeader());
  answers.push_back(Append("wh_3"));
  EXPECT_EQ(ReasonOf(Append("wh_4").get().status()), reason::kQueueFull);
  first_.AwaitAsked(1)->Answer(Stored(1));
  EXPECT_TRUE(answers[0].get().ok());
  auto fits = Append("wh_5");
  first_.AwaitAsked(4)->Answer(Stored(2));
  EXPECT_TRUE(fits.get().ok());

  auto large = Event("wh_6");
  large->raw_body = std::string(2000, 'x');
  std::promise<Result> refused;
  sink_.Append(std::move(large), [&](Result result) { refused.set_value(std::move(result)); });
  EXPECT_EQ(ReasonOf(refused.get_future().get().status()), reason::kQueueFull);
  first_.AwaitAsked(3)->Answer(Stored(3));
  LeadHere();
  route_.news().Announce();
  for (size_t i : {1, 2}) EXPECT_TRUE(answers[i].get().ok()) << i;
}

TEST_F(LeaderSinkTest, AtTheEndNothingIsLeftUnanswered) {
  LoseLeader();
  auto waiting = Append("wh_1");
  Lead(first_);
  auto asked = Append("wh_2");
  const auto call = first_.AwaitAsked(1);
  std::thread ending([this] { sink_.End(); });
  EXPECT_EQ(ReasonOf(waiting.get().status()), reason::kNoLeader);
  call->End(NoLeader());
  ending.join();
  EXPECT_EQ(ReasonOf(asked.get().status()), reason::kNoLeader);
  LoseLeader();
  EXPECT_EQ(ReasonOf(Append("wh_3").get().status()), reason::kNoLeader) << "nothing waits any more";
}

}  // namespace
}  // namespace hookgate
