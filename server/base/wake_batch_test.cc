#include "server/base/wake_batch.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace hookgate {
namespace {

class Counter : public WakeBatch::Target {
 public:
  void WakeNow() override { ++wakes; }
  int wakes = 0;
};

TEST(WakeBatchTest, EachIsWokenOnceAtTheEnd) {
  const auto first = std::make_shared<Counter>();
  const auto second = std::make_shared<Counter>();
  {
    WakeBatch batch;
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(WakeBatch::Add(first));
      EXPECT_TRUE(WakeBatch::Add(second));
    }
    EXPECT_EQ(first->wakes, 0);
  }
  EXPECT_EQ(first->wakes, 1);
  EXPECT_EQ(second->wakes, 1);
  EXPECT_FALSE(WakeBatch::Add(first));
}

TEST(WakeBatchTest, TheOuterOneCounts) {
  const auto target = std::make_shared<Counter>();
  {
    WakeBatch outer;
    {
      WakeBatch inner;
      WakeBatch::Add(target);
    }
    EXPECT_EQ(target->wakes, 0);
  }
  EXPECT_EQ(target->wakes, 1);
}

TEST(WakeBatchTest, OtherThreadsHaveTheirOwn) {
  WakeBatch batch;
  bool added = true;
  std::thread([&added] { added = WakeBatch::Add(std::make_shared<Counter>()); }).join();
  EXPECT_FALSE(added);
}

}  // namespace
}  // namespace hookgate
