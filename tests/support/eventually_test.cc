#include "tests/support/eventually.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace hookgate {
namespace {

TEST(EventuallyTest, WaitsForWhatAnotherThreadBringsAbout) {
  std::atomic<int> looks = 0;
  std::thread other([&] {
    while (looks < 200) std::this_thread::yield();
    looks = 1'000'000;
  });
  EXPECT_TRUE(Eventually("it counts a million", [&] { return ++looks > 1'000'000; }));
  other.join();
}

TEST(EventuallyTest, WhatHoldsAlreadyIsAskedOnce) {
  int looks = 0;
  EXPECT_TRUE(Eventually(
      "it looks", [&] { return ++looks > 0; }, std::chrono::milliseconds::zero()));
  EXPECT_EQ(looks, 1);
}

TEST(EventuallyTest, WhatNeverHoldsIsNamed) {
  const testing::AssertionResult result = Eventually(
      "pigs fly", [] { return false; }, std::chrono::milliseconds(3));
  EXPECT_FALSE(result);
  EXPECT_EQ(std::string(result.message()), "not within 3 ms: pigs fly");
}

}  // namespace
}  // namespace hookgate
