// That the checker finds what it is there for: each promise, broken on purpose.
#include "tests/cluster/outside_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(OutsideViewTest, WhatIsAsPromisedIsNotBroken) {
  OutsideView view;
  for (const char* const subscriber : {"at a", "at b"}) {
    view.Got(subscriber, 1, "wh_1");
    view.Got(subscriber, 2, "wh_2");
  }
  view.Answered("wh_1", 1);
  view.Answered("wh_2", 2);
  view.Answered("wh_2", 2);  // a repeat
  EXPECT_THAT(view.broken(), IsEmpty());
  EXPECT_THAT(view.MissingFrom("at a"), IsEmpty());
  EXPECT_EQ(view.answered(), 2u);
  EXPECT_EQ(view.newest(), 2);
}

TEST(OutsideViewTest, FindsALostWebhook) {
  OutsideView view;
  view.Answered("wh_1", 1);
  view.Answered("wh_2", 2);
  view.Got("at a", 1, "wh_1");
  EXPECT_THAT(view.MissingFrom("at a"), ElementsAre("wh_2 (2)"));
  EXPECT_THAT(view.MissingFrom("at b"), ElementsAre("wh_1 (1)", "wh_2 (2)"));
}

TEST(OutsideViewTest, FindsAWebhookThatIsStoredTwice) {
  OutsideView view;
  view.Answered("wh_1", 1);
  view.Answered("wh_1", 2);
  EXPECT_EQ(view.broken().size(), 1u);
  OutsideView other;
  other.Got("at a", 1, "wh_1");
  other.Got("at a", 2, "wh_1");
  EXPECT_EQ(other.broken().size(), 1u);
}

TEST(OutsideViewTest, FindsReplicasThatHoldDifferentEvents) {
  OutsideView view;
  view.Got("at a", 1, "wh_1");
  view.Got("at b", 1, "wh_2");
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, FindsHolesRepeatsAndAnotherOrder) {
  for (const auto& [first, second] : {std::pair(1, 3), std::pair(1, 1), std::pair(2, 3)}) {
    OutsideView view;
    view.Got("at a", first, first == second ? "wh_1" : "wh_a");
    view.Got("at a", second, first == second ? "wh_1" : "wh_b");
    EXPECT_EQ(view.broken().size(), 1u) << first << ", " << second;
  }
}

TEST(OutsideViewTest, FindsReplicasWhoseEventsDifferInAByte) {
  OutsideView view;
  view.Got("at a", 1, "wh_1", 17);
  view.Got("at b", 1, "wh_1");
  view.Got("at c", 1, "wh_1", 17);
  EXPECT_THAT(view.broken(), IsEmpty());
  view.Got("at d", 1, "wh_1", 18);
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, ASubscriberGoesOnWhereItWasUnlessItIsForgotten) {
  OutsideView view;
  view.Got("one", 1, "wh_1");
  EXPECT_EQ(view.ReachedBy("one"), 1);
  view.Got("one", 2, "wh_2");
  view.Forget("one");
  EXPECT_EQ(view.ReachedBy("one"), 0);
  view.Got("one", 1, "wh_1");
  EXPECT_THAT(view.broken(), IsEmpty());
  view.Answered("wh_2", 2);
  EXPECT_THAT(view.MissingFrom("one"), ElementsAre("wh_2 (2)"));
}

TEST(OutsideViewTest, WhatIsNackedComesAgainUntilItIsAcked) {
  OutsideView view;
  view.Delivered(1, "wh_1", 1);
  view.NackSent(1);
  view.Nacked(1);
  view.Delivered(1, "wh_1", 2);
  view.NackSent(1);              // and not answered:
  view.Delivered(1, "wh_1", 2);  // it did not count,
  view.Delivered(1, "wh_1", 3);  // or did.
  EXPECT_THAT(view.Undelivered(), ElementsAre(1));
  view.AckSent(1);
  view.Acked(1);
  EXPECT_THAT(view.Undelivered(), IsEmpty());
  EXPECT_THAT(view.broken(), IsEmpty());
  EXPECT_EQ(view.deliveries(), 4u);
}

TEST(OutsideViewTest, FindsADeliveryAfterItsAck) {
  OutsideView view;
  view.Delivered(1, "wh_1", 1);
  view.Acked(1);
  view.Delivered(1, "wh_1", 1);
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, FindsAnAttemptThatNobodyNacked) {
  OutsideView view;
  view.Delivered(1, "wh_1", 2);
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, FindsANackThatWasForgotten) {
  OutsideView view;
  view.Delivered(1, "wh_1", 1);
  view.NackSent(1);
  view.Nacked(1);
  view.Delivered(1, "wh_1", 1);
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, FindsADeliveryOfAnotherEvent) {
  OutsideView view;
  view.Answered("wh_1", 1);
  view.Delivered(1, "wh_2", 1);
  EXPECT_EQ(view.broken().size(), 1u);
}

TEST(OutsideViewTest, AnAckWithoutAnAnswerMayHaveBeenTaken) {
  OutsideView view;
  view.Delivered(1, "wh_1", 1);
  view.AckSent(1);
  EXPECT_THAT(view.Undelivered(), IsEmpty());
  view.Delivered(1, "wh_1", 1);  // It was not.
  EXPECT_THAT(view.Undelivered(), ElementsAre(1));
  EXPECT_THAT(view.broken(), IsEmpty());
}

TEST(OutsideViewTest, FindsWhatWasNeverDelivered) {
  OutsideView view;
  view.Answered("wh_1", 1);
  view.Answered("wh_2", 2);
  view.Delivered(2, "wh_2", 1);
  view.AckSent(2);
  EXPECT_THAT(view.Undelivered(), ElementsAre(1));
}

}  // namespace
}  // namespace hookgate
