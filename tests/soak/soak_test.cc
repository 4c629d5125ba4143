#include "tests/soak/soak.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

// The soak itself, with so little to do that it is over in seconds: it must not rot.
TEST(SoakTest, AShortNightIsAllWell) {
  const SoakReport report = RunSoak({.data_dir = FreshTestFolder(),
                                     .seed = 1,
                                     .lives = 3,
                                     .answers_per_life = 200,
                                     .answers_of_last_life = 800});
  EXPECT_TRUE(report.IsGood()) << report.Text();
  EXPECT_GE(report.counts.answered, 3 * 100 + 800);
  EXPECT_GT(report.counts.repeats, 0);
  // Four readers and the consumer have got each at least once.
  EXPECT_GE(report.counts.delivered, 5 * report.counts.answered);
  // The answer to an ack may be lost where the gateway is killed.
  EXPECT_GE(report.counts.acked, report.counts.answered / 2);
  EXPECT_EQ(report.killed, 2 + 1);
  EXPECT_EQ(report.ended, 1 + 1);
  EXPECT_GT(report.end_bytes, 0);
  EXPECT_GT(report.largest_wal_bytes, 0);
}

TEST(SoakReportTest, WhatIsNotWellIsSaid) {
  SoakReport report = {.allowed_growth = 10, .wal_bound = 10};
  EXPECT_TRUE(report.IsGood());
  report.end_bytes = 11;
  EXPECT_FALSE(report.IsGood());
  EXPECT_NE(report.Text().find("memory grew"), std::string::npos);
  report.end_bytes = 0;
  report.largest_wal_bytes = 11;
  EXPECT_FALSE(report.IsGood());
  EXPECT_NE(report.Text().find("write-ahead log is above"), std::string::npos);
  report.largest_wal_bytes = 0;
  report.last_life_bytes = 11;
  EXPECT_FALSE(report.IsGood());
  report.last_life_bytes = 0;
  report.counts.lost = 1;
  EXPECT_FALSE(report.IsGood());
  EXPECT_NE(report.Text().find("NOT WELL"), std::string::npos);
}

}  // namespace
}  // namespace hookgate
