// That a real hookgated gives memory back is shown in tests/integration/ingest_test.cc.
#include "server/base/memory_releaser.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

constexpr size_t kMiB = 1 << 20;

// 1,000 webhooks of 1 MiB left the process with 1 GiB for ever.
TEST(ReleasePlanTest, BurstIsGivenBackWithinSeconds) {
  ReleasePlan plan;
  size_t free = 1000 * kMiB;
  for (int second = 0; second < 10; ++second) free -= plan.Next(free);
  EXPECT_EQ(free, ReleasePlan::kKeptWhenQuiet);
}

TEST(ReleasePlanTest, MemoryThatIsUsedInTurnsIsKept) {
  ReleasePlan plan;
  for (int second = 0; second < 10; ++second) {
    EXPECT_EQ(plan.Next(second % 2 == 0 ? 500 * kMiB : ReleasePlan::kKept), 0u);
  }
}

TEST(ReleasePlanTest, OnlyWhatWasFreeTheLastTimeIsGivenBack) {
  ReleasePlan plan;
  EXPECT_EQ(plan.Next(20 * kMiB), 0u);
  EXPECT_EQ(plan.Next(500 * kMiB), 12 * kMiB);
  EXPECT_EQ(plan.Next(488 * kMiB), 240 * kMiB);
}

// After an attack was over, 8 MiB that nobody needed stayed.
TEST(ReleasePlanTest, LittleIsKeptUntilNobodyHasNeededItForSeconds) {
  ReleasePlan plan;
  for (int second = 0; second < 3; ++second) EXPECT_EQ(plan.Next(ReleasePlan::kKept), 0u);
  EXPECT_EQ(plan.Next(ReleasePlan::kKept), 7 * kMiB);
  EXPECT_EQ(plan.Next(kMiB), 0u);
  // Some of it was needed: it may be so again.
  EXPECT_EQ(plan.Next(kMiB / 2), 0u);
  for (int second = 0; second < 3; ++second) EXPECT_EQ(plan.Next(ReleasePlan::kKept), 0u);
}

TEST(MemoryReleaserTest, EndsAtOnce) { MemoryReleaser releaser; }

}  // namespace
}  // namespace hookgate
