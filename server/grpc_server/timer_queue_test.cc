#include "server/grpc_server/timer_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Note final : public Timed {
 public:
  Note(std::string name, std::vector<std::string>& heard) : name_(std::move(name)), heard_(heard) {}

  void OnTime(absl::Duration now) override {
    heard_.push_back(name_);
    if (then) then(now);
  }

  std::function<void(absl::Duration now)> then;

 private:
  const std::string name_;
  std::vector<std::string>& heard_;
};

class TimerQueueTest : public testing::Test {
 protected:
  std::vector<std::string> heard_;
  TimerQueue queue_;
  Note a_{"a", heard_};
  Note b_{"b", heard_};
};

TEST_F(TimerQueueTest, WhatIsDueIsCalledInOrderAndOnce) {
  queue_.Set(a_, absl::Seconds(2));
  queue_.Set(b_, absl::Seconds(1));
  EXPECT_EQ(queue_.next(), absl::Seconds(1));
  queue_.RunDue(absl::Milliseconds(999));
  EXPECT_THAT(heard_, IsEmpty());
  queue_.RunDue(absl::Seconds(5));
  EXPECT_THAT(heard_, ElementsAre("b", "a"));
  queue_.RunDue(absl::Seconds(6));
  EXPECT_THAT(heard_, ElementsAre("b", "a"));
  EXPECT_EQ(queue_.next(), absl::nullopt);
}

TEST_F(TimerQueueTest, AnotherTimeReplacesTheOneBefore) {
  queue_.Set(a_, absl::Seconds(1));
  queue_.Set(a_, absl::Seconds(3));
  queue_.Set(b_, absl::Seconds(1));
  queue_.Cancel(b_);
  queue_.Cancel(b_);
  queue_.RunDue(absl::Seconds(2));
  EXPECT_THAT(heard_, IsEmpty());
  EXPECT_EQ(queue_.next(), absl::Seconds(3));
  queue_.Cancel(a_);
}

TEST_F(TimerQueueTest, NeverIsNotQueued) {
  queue_.Set(a_, absl::InfiniteDuration());
  queue_.Set(b_, absl::Hours(24) * 365 * 300);
  EXPECT_EQ(queue_.next(), absl::nullopt);
}

TEST_F(TimerQueueTest, WhatIsSetAgainForNowWaitsForTheNextTurn) {
  a_.then = [this](absl::Duration now) { queue_.Set(a_, now); };
  queue_.Set(a_, absl::Seconds(1));
  queue_.RunDue(absl::Seconds(1));
  EXPECT_THAT(heard_, ElementsAre("a"));
  queue_.RunDue(absl::Seconds(1));
  EXPECT_THAT(heard_, ElementsAre("a", "a"));
  queue_.Cancel(a_);
}

TEST_F(TimerQueueTest, OneMayCancelAnother) {
  a_.then = [this](absl::Duration) { queue_.Cancel(b_); };
  queue_.Set(a_, absl::Seconds(1));
  queue_.Set(b_, absl::Seconds(1) + absl::Nanoseconds(1));
  queue_.RunDue(absl::Seconds(2));
  EXPECT_THAT(heard_, ElementsAre("a"));
}

}  // namespace
}  // namespace hookgate
