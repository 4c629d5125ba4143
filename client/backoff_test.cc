#include "client/backoff.h"

#include <random>

#include "gtest/gtest.h"

namespace hookgate {
namespace {

constexpr BackoffPolicy kPolicy = {.initial = absl::Seconds(1), .maximum = absl::Seconds(10)};

TEST(BackoffDelayTest, CeilingDoublesWithEachAttemptUpToTheMaximum) {
  std::mt19937 random(1);
  const absl::Duration ceilings[] = {absl::Seconds(1), absl::Seconds(2),  absl::Seconds(4),
                                     absl::Seconds(8), absl::Seconds(10), absl::Seconds(10)};
  for (int round = 0; round < 100; ++round) {
    for (int attempt = 1; attempt <= 6; ++attempt) {
      const absl::Duration delay = BackoffDelay(kPolicy, attempt, random);
      EXPECT_GE(delay, ceilings[attempt - 1] / 2) << "attempt " << attempt;
      EXPECT_LE(delay, ceilings[attempt - 1]) << "attempt " << attempt;
    }
  }
}

TEST(BackoffDelayTest, IsTheSameForTheSameSeed) {
  std::mt19937 one(7);
  std::mt19937 other(7);
  EXPECT_EQ(BackoffDelay(kPolicy, 3, one), BackoffDelay(kPolicy, 3, other));
}

TEST(BackoffDelayTest, DiffersBetweenClients) {
  std::mt19937 one(7);
  std::mt19937 other(8);
  EXPECT_NE(BackoffDelay(kPolicy, 3, one), BackoffDelay(kPolicy, 3, other));
}

TEST(BackoffDelayTest, StaysAtTheMaximumHoweverOftenItFails) {
  std::mt19937 random(1);
  EXPECT_LE(BackoffDelay(kPolicy, 2'000'000'000, random), absl::Seconds(10));
}

TEST(BackoffDelayTest, IsZeroWhenThePolicySaysSo) {
  std::mt19937 random(1);
  EXPECT_EQ(BackoffDelay({.initial = absl::ZeroDuration()}, 2'000'000'000, random),
            absl::ZeroDuration());
}

}  // namespace
}  // namespace hookgate
