#include "server/grpc_server/grpc_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using testing::ElementsAre;

constexpr TurnGroup kCrowd = {{1}};
constexpr TurnGroup kOther = {{2}};

class GrpcLoopTest : public testing::Test {
 protected:
  // Notes its name at each turn, and does `then`.
  class Stranger final : public TakesTurns {
   public:
    Stranger(std::string name, std::vector<std::string>& turns, std::function<void()> then)
        : name_(std::move(name)), turns_(turns), then_(std::move(then)) {}
    void OnTurn() override {
      turns_.push_back(name_);
      then_();
    }

   private:
    const std::string name_;
    std::vector<std::string>& turns_;
    const std::function<void()> then_;
  };

  GrpcLoopTest() : thread_([this] { loop_.Run(); }) {}
  ~GrpcLoopTest() override {
    loop_.Stop();
    thread_.join();
  }

  // Runs on the loop's thread, and waits until it has.
  void OnLoop(const std::function<void()>& work) {
    std::promise<void> done;
    boost::asio::post(loop_.io(), [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  void AwaitTurn(const TurnGroup& group, const std::string& name, std::function<void()> then) {
    loop_.AwaitTurn(group, std::make_shared<Stranger>(name, turns_, std::move(then)));
  }

  FakeClock clock_;
  GrpcLoop loop_{clock_, /*share_of_strangers=*/0.25};
  std::vector<std::string> turns_;  // on the loop's thread
  std::thread thread_;
};

TEST_F(GrpcLoopTest, StrangersTakeTurnsByAddress) {
  absl::Notification last;
  OnLoop([&] {
    for (const char* name : {"crowd 1", "crowd 2", "crowd 3"}) AwaitTurn(kCrowd, name, [] {});
    AwaitTurn(kOther, "other", [] {});
    AwaitTurn(kCrowd, "crowd 4", [&] { last.Notify(); });
  });
  last.WaitForNotification();
  OnLoop([&] {
    EXPECT_THAT(turns_, ElementsAre("crowd 1", "other", "crowd 2", "crowd 3", "crowd 4"));
    EXPECT_TRUE(loop_.HasTurnForStranger());
  });
}

// While a stranger waits, no other one may pass it.
TEST_F(GrpcLoopTest, NobodyPassesThoseThatWait) {
  absl::Notification done;
  OnLoop([&] {
    EXPECT_TRUE(loop_.HasTurnForStranger());
    AwaitTurn(kCrowd, "first", [&] { done.Notify(); });
    EXPECT_FALSE(loop_.HasTurnForStranger());
  });
  done.WaitForNotification();
  OnLoop([&] { EXPECT_TRUE(loop_.HasTurnForStranger()); });
}

TEST_F(GrpcLoopTest, StrangersThatHaveUsedUpTheirTimeWait) {
  absl::Notification first;
  absl::Notification second;
  OnLoop([&] {
    AwaitTurn(kCrowd, "first", [&] {
      loop_.SpendOnStrangers(absl::Milliseconds(6));
      first.Notify();
    });
    AwaitTurn(kOther, "second", [&] { second.Notify(); });
  });
  first.WaitForNotification();
  // The others' work goes on, as long as it likes.
  for (int i = 0; i < 100; ++i) OnLoop([] {});
  EXPECT_FALSE(second.HasBeenNotified());
  OnLoop([&] { EXPECT_FALSE(loop_.HasTurnForStranger()); });
  // A quarter of that is what they have spent beyond their burst of 1 ms.
  clock_.Advance(absl::Milliseconds(19));
  for (int i = 0; i < 100; ++i) OnLoop([] {});
  EXPECT_FALSE(second.HasBeenNotified());
  clock_.Advance(absl::Milliseconds(2));
  second.WaitForNotification();
}

}  // namespace
}  // namespace hookgate
