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

}  // namespace
}  // namespace hookgate
