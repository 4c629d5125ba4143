// What is told, when, and how often, by a clock that the test moves.

#include "server/operator_events/operator_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

OperatorLimits AllOn() {
  OperatorLimits limits;
  limits.types = *MatchOperatorEventTypes("hookgate.*");
  return limits;
}

int64_t Number(const OperatorNews& news, const char* member) {
  return boost::json::parse(news.data).at(member).as_int64();
}

std::string Text(const OperatorNews& news, const char* member) {
  return std::string(boost::json::parse(news.data).at(member).as_string());
}

class OperatorWatchTest : public testing::Test {
 protected:
  OperatorWatchTest() {
    subscription_.id = 3;
    subscription_.name = "billing";
    source_.name = "openai";
    Look();
  }

  std::vector<OperatorNews> Look() {
    std::vector<OperatorNews> news = watch_.Look({subscription_}, {source_}, now_);
    // Each of them could be stored.
    for (const OperatorNews& each : news) {
      const auto event = MakeOperatorEvent(each, {});
      EXPECT_TRUE(event.ok()) << event.status();
      EXPECT_TRUE(ids_.insert(each.id).second) << each.id << " is told twice";
    }
    return news;
  }
  void Pass(absl::Duration time) {
    now_.monotonic += time;
    now_.wall += time;
  }
  std::vector<OperatorNews> LookAfter(absl::Duration time) {
    Pass(time);
    return Look();
  }
  void Die(int64_t events, Sequence last) {
    subscription_.dead_lettered += events;
    subscription_.dead_letters += events;
    subscription_.last_dead = {last, now_.wall, "nacked"};
  }
  void Receive(int64_t failed, int64_t verified) {
    source_.failed += failed;
    source_.verified += verified;
  }

  OperatorTime now_ = {absl::FromUnixSeconds(1'750'000'000), absl::Hours(5)};
  OperatorLimits limits_ = AllOn();
  OperatorWatch watch_{limits_};
  SubscriptionVitals subscription_;
  SourceVitals source_;
  std::set<std::string> ids_;
};

// --- Dead letters and losses --------------------------------------------------------------------

TEST_F(OperatorWatchTest, DeadLettersAreToldAtOnce) {
  Die(2, 42);
  const auto news = LookAfter(absl::Seconds(1));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].type, OperatorEventType::kDeadLettered);
  EXPECT_EQ(news[0].left_out, 0);
  EXPECT_EQ(Number(news[0], "events"), 2);
  EXPECT_EQ(Number(news[0], "dead_letters"), 2);
  EXPECT_EQ(Number(news[0], "last_sequence"), 42);
  EXPECT_EQ(Text(news[0], "last_cause"), "nacked");
  EXPECT_EQ(Text(news[0], "subscription"), "billing");
  EXPECT_EQ(news[0].time, now_.wall);
  EXPECT_THAT(LookAfter(absl::Hours(1)), IsEmpty());
}

TEST_F(OperatorWatchTest, WhatComesTooSoonAddsUpForTheNextOne) {
  Die(1, 1);
  EXPECT_THAT(Look(), SizeIs(1));
  for (int i = 2; i <= 4; ++i) {
    Die(2, i);
    EXPECT_THAT(LookAfter(absl::Minutes(1)), IsEmpty());
  }
  EXPECT_THAT(LookAfter(absl::Minutes(6)), IsEmpty());
  const auto news = LookAfter(absl::Minutes(1));
  ASSERT_THAT(news, SizeIs(1)) << "nothing new, and yet it is told now that it may";
  EXPECT_EQ(Number(news[0], "events"), 6);
  EXPECT_EQ(Number(news[0], "last_sequence"), 4);
  EXPECT_EQ(news[0].left_out, 3);
  Die(1, 5);
  const auto next = LookAfter(absl::Minutes(10));
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_EQ(next[0].left_out, 0);
}

TEST_F(OperatorWatchTest, SubscriptionsDoNotLimitEachOther) {
  SubscriptionVitals other = subscription_;
  other.id = 4;
  other.name = "mail";
  const auto look = [&] { return watch_.Look({subscription_, other}, {}, now_); };
  look();
  Die(1, 1);
  EXPECT_THAT(look(), SizeIs(1));
  other.dead_lettered = 1;
  const auto news = look();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(Text(news[0], "subscription"), "mail");
}

// What was there when the gateway started, or while nobody wanted to know, is not news.
TEST_F(OperatorWatchTest, WhatWasThereBeforeIsNotTold) {
  Die(5, 5);
  subscription_.lost = 9;
  OperatorWatch started(limits_);
  EXPECT_THAT(started.Look({subscription_}, {source_}, now_), IsEmpty());

  watch_.SetLimits({});
  Pass(absl::Seconds(1));
  watch_.SetLimits(limits_);
  EXPECT_THAT(Look(), IsEmpty());
  limits_.types.erase(OperatorEventType::kDeadLettered);
  watch_.SetLimits(limits_);
  Die(1, 6);
  EXPECT_THAT(Look(), IsEmpty());
  watch_.SetLimits(AllOn());
  EXPECT_THAT(Look(), IsEmpty());
  Die(1, 7);
  const auto news = Look();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(Number(news[0], "events"), 1);
}

TEST_F(OperatorWatchTest, LossesAreToldWithTheirTotal) {
  subscription_.lost = 4;
  const auto first = Look();
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].type, OperatorEventType::kLost);
  EXPECT_EQ(Number(first[0], "events"), 4);
  subscription_.lost = 6;
  const auto second = LookAfter(absl::Minutes(10));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(Number(second[0], "events"), 2);
  EXPECT_EQ(Number(second[0], "total_events"), 6);
  // A commit that failed: it is counted once more.
  subscription_.lost = 4;
  EXPECT_THAT(LookAfter(absl::Minutes(10)), IsEmpty());
  subscription_.lost = 7;
  EXPECT_THAT(LookAfter(absl::Minutes(10)), SizeIs(1));
}

// One that was created and had its first dead letter between two looks was taken as it was.
TEST_F(OperatorWatchTest, DeadLettersOfASubscriptionThatIsNewAreTold) {
  watch_.Look({}, {source_}, now_);
  Die(1, 1);
  EXPECT_THAT(LookAfter(absl::Seconds(1)), SizeIs(1));
}

// --- Stuck --------------------------------------------------------------------------------------

TEST_F(OperatorWatchTest, WaitingWithoutProgressIsToldOnceItIsLongEnough) {
  EXPECT_THAT(LookAfter(absl::Hours(1)), IsEmpty()) << "nothing waits";
  subscription_.oldest = 42;
  subscription_.backlog = 3;
  subscription_.consumers = 1;
  EXPECT_THAT(LookAfter(absl::Seconds(1)), IsEmpty());
  EXPECT_THAT(LookAfter(absl::Minutes(4)), IsEmpty());
  const auto news = LookAfter(absl::Minutes(1));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].type, OperatorEventType::kStuck);
  EXPECT_EQ(Number(news[0], "oldest_sequence"), 42);
  EXPECT_EQ(Number(news[0], "backlog_events"), 3);
  EXPECT_EQ(Number(news[0], "consumers"), 1);
  EXPECT_GE(Number(news[0], "seconds"), 300);
  subscription_.backlog = 1000;  // Operator events among them, this one too.
  EXPECT_THAT(LookAfter(absl::Hours(24)), IsEmpty()) << "it goes on, and was told";
}

TEST_F(OperatorWatchTest, ProgressBeginsTheWaitAfreshAndEndsWhatWasTold) {
  subscription_.oldest = 42;
  for (int i = 0; i < 10; ++i) {
    ++subscription_.settled;
    EXPECT_THAT(LookAfter(absl::Minutes(4)), IsEmpty());
  }
  EXPECT_THAT(LookAfter(absl::Minutes(5)), SizeIs(1));
  ++subscription_.settled;
  EXPECT_THAT(LookAfter(absl::Minutes(1)), IsEmpty());
  EXPECT_THAT(LookAfter(absl::Minutes(10)), SizeIs(1)) << "the same event, stuck again";
}

TEST_F(OperatorWatchTest, WhatIsPausedIsNotStuck) {
  subscription_.oldest = 42;
  subscription_.paused = true;
  EXPECT_THAT(LookAfter(absl::Hours(1)), IsEmpty());
  subscription_.paused = false;
  EXPECT_THAT(LookAfter(absl::Minutes(4)), IsEmpty());
  EXPECT_THAT(LookAfter(absl::Minutes(1)), SizeIs(1));
}

// One that comes and goes was told each time, or the next one did not say so.
TEST_F(OperatorWatchTest, WhatEndsBeforeItMayBeToldIsCounted) {
  limits_.min_interval = absl::Hours(1);
  watch_.SetLimits(limits_);
  subscription_.oldest = 42;
  LookAfter(absl::Seconds(1));
  EXPECT_THAT(LookAfter(absl::Minutes(5)), SizeIs(1));
  for (int i = 0; i < 2; ++i) {
    ++subscription_.settled;
    LookAfter(absl::Seconds(1));
    EXPECT_THAT(LookAfter(absl::Minutes(5)), IsEmpty()) << "stuck, but not to be told yet";
    EXPECT_THAT(LookAfter(absl::Minutes(1)), IsEmpty());
  }
  ++subscription_.settled;
  LookAfter(absl::Seconds(1));
  EXPECT_THAT(LookAfter(absl::Minutes(5)), IsEmpty());
  const auto news = LookAfter(absl::Hours(1));
  ASSERT_THAT(news, SizeIs(1)) << "it still holds when it may be told";
  EXPECT_EQ(news[0].left_out, 2) << "without itself";
}

// --- Silent -------------------------------------------------------------------------------------

TEST_F(OperatorWatchTest, SilenceIsToldOnceAndAgainAfterAWebhook) {
  EXPECT_THAT(LookAfter(absl::Hours(100)), IsEmpty()) << "it may be silent for ever";
  source_.silent_after = absl::Hours(6);
  source_.verified = 1;
  source_.last_webhook = now_.wall;
  Look();
  EXPECT_THAT(LookAfter(absl::Hours(6) - absl::Seconds(1)), IsEmpty());
  const auto news = LookAfter(absl::Seconds(1));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].type, OperatorEventType::kSilent);
  EXPECT_EQ(Text(news[0], "source"), "openai");
  EXPECT_EQ(Number(news[0], "seconds"), 6 * 3600);
  EXPECT_EQ(Number(news[0], "last_webhook_at"), absl::ToUnixSeconds(*source_.last_webhook));
  EXPECT_THAT(LookAfter(absl::Hours(6)), IsEmpty());
  source_.verified = 2;
  source_.last_webhook = now_.wall;
  Look();
  EXPECT_THAT(LookAfter(absl::Hours(6)), SizeIs(1));
}

TEST_F(OperatorWatchTest, ASourceThatWasNeverHeardIsSilentFromTheStart) {
  source_.silent_after = absl::Hours(6);
  OperatorWatch started(limits_);
  started.Look({}, {source_}, now_);
  Pass(absl::Hours(6));
  const auto news = started.Look({}, {source_}, now_);
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_TRUE(MakeOperatorEvent(news[0], {}).ok());
  EXPECT_EQ(news[0].data.find("last_webhook_at"), std::string::npos);
}

// A gateway that is restarted often would never tell; one that was down for long would tell at
// once, though nobody could have been heard.
TEST_F(OperatorWatchTest, SilenceBeforeTheStartCountsButNotAlone) {
  source_.silent_after = absl::Hours(10);
  source_.last_webhook = now_.wall - absl::Hours(4);
  OperatorWatch early(limits_);
  early.Look({}, {source_}, now_);
  source_.last_webhook = now_.wall - absl::Hours(400);
  OperatorWatch late(limits_);
  EXPECT_THAT(late.Look({}, {source_}, now_), IsEmpty());
  source_.last_webhook = now_.wall + absl::Hours(400);  // The clock was set back since.
  OperatorWatch ahead(limits_);
  ahead.Look({}, {source_}, now_);
  Pass(absl::Hours(1));
  EXPECT_THAT(late.Look({}, {source_}, now_), SizeIs(1));
  Pass(absl::Hours(4) + absl::Minutes(59));
  EXPECT_THAT(early.Look({}, {source_}, now_), IsEmpty());
  EXPECT_THAT(ahead.Look({}, {source_}, now_), IsEmpty());
  Pass(absl::Minutes(1));
  EXPECT_THAT(early.Look({}, {source_}, now_), SizeIs(1));
  Pass(absl::Hours(4));
  EXPECT_THAT(ahead.Look({}, {source_}, now_), SizeIs(1));
}

// The same silence has the same id after a restart, by which the log knows it.
TEST_F(OperatorWatchTest, ASilenceHasOneIdOverRestarts) {
  source_.silent_after = absl::Hours(1);
  source_.last_webhook = now_.wall;
  std::vector<std::string> ids;
  for (int i = 0; i < 2; ++i) {
    OperatorWatch started(limits_);
    started.Look({}, {source_}, now_);
    Pass(absl::Hours(1));
    const auto news = started.Look({}, {source_}, now_);
    ASSERT_THAT(news, SizeIs(1));
    ids.push_back(news[0].id);
  }
  EXPECT_EQ(ids[0], ids[1]);
}

// --- Failing ------------------------------------------------------------------------------------

TEST_F(OperatorWatchTest, SignaturesThatFailAreToldByTheirShare) {
  Receive(4, 0);
  EXPECT_THAT(LookAfter(absl::Seconds(1)), IsEmpty()) << "too few";
  Receive(1, 45);
  EXPECT_THAT(LookAfter(absl::Seconds(1)), IsEmpty()) << "a tenth is not more than a tenth";
  Receive(1, 0);
  const auto news = LookAfter(absl::Seconds(1));
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].type, OperatorEventType::kSecretFailing);
  EXPECT_EQ(Number(news[0], "failed"), 6);
  EXPECT_EQ(Number(news[0], "verified"), 45);
  EXPECT_EQ(Number(news[0], "window_seconds"), 600);
}

TEST_F(OperatorWatchTest, AnAttackThatGoesOnIsToldOnceAndAgainAfterAPause) {
  int told = 0;
  for (int second = 0; second < 3600; ++second) {
    Receive(10, 1);
    told += static_cast<int>(LookAfter(absl::Seconds(1)).size());
  }
  EXPECT_EQ(told, 1);
  for (int minute = 0; minute < 12; ++minute) EXPECT_THAT(LookAfter(absl::Minutes(1)), IsEmpty());
  Receive(10, 0);
  EXPECT_THAT(LookAfter(absl::Seconds(1)), SizeIs(1));
}

TEST_F(OperatorWatchTest, WhatIsOlderThanTheWindowDoesNotCount) {
  for (int i = 0; i < 20; ++i) {
    Receive(1, 0);
    EXPECT_THAT(LookAfter(absl::Minutes(3)), IsEmpty()) << "four in ten minutes";
  }
}

// --- Reload -------------------------------------------------------------------------------------

TEST_F(OperatorWatchTest, AFailedReloadIsToldWithItsErrors) {
  watch_.NoteFailedReload({"sources[0].name: is wrong", "http: is wrong"}, now_);
  const auto news = Look();
  ASSERT_THAT(news, SizeIs(1));
  EXPECT_EQ(news[0].type, OperatorEventType::kReloadFailed);
  EXPECT_EQ(Number(news[0], "error_count"), 2);
  EXPECT_EQ(boost::json::parse(news[0].data).at("errors").as_array().size(), 2u);
  for (int i = 0; i < 3; ++i) {
    watch_.NoteFailedReload({absl::StrCat("error ", i)}, now_);
    EXPECT_THAT(LookAfter(absl::Minutes(1)), IsEmpty());
  }
  const auto next = LookAfter(absl::Minutes(10));
  ASSERT_THAT(next, SizeIs(1));
  EXPECT_EQ(next[0].left_out, 2);
  EXPECT_EQ(boost::json::parse(next[0].data).at("errors").at(0).as_string(), "error 2");
}

TEST_F(OperatorWatchTest, ManyLongErrorsAreCutBetweenCharacters) {
  std::string error(OperatorWatch::kMaxErrorBytes - 1, 'x');
  error += "\xc3\xa9 and more";
  watch_.NoteFailedReload(std::vector<std::string>(1000, error), now_);
  const auto news = Look();
  ASSERT_THAT(news, SizeIs(1));
  const auto errors = boost::json::parse(news[0].data).at("errors").as_array();
  EXPECT_EQ(errors.size(), OperatorWatch::kMaxErrors);
  EXPECT_EQ(errors[0].as_string().size(), OperatorWatch::kMaxErrorBytes - 1);
  EXPECT_EQ(Number(news[0], "error_count"), 1000);
}

TEST_F(OperatorWatchTest, TypesThatAreOffAreNotTold) {
  limits_.types = {OperatorEventType::kSilent};
  watch_.SetLimits(limits_);
  Die(1, 1);
  subscription_.lost = 1;
  subscription_.oldest = 1;
  Receive(1000, 0);
  watch_.NoteFailedReload({"error"}, now_);
  EXPECT_THAT(Look(), IsEmpty());
  EXPECT_THAT(LookAfter(absl::Hours(1)), IsEmpty());
}

}  // namespace
}  // namespace hookgate
