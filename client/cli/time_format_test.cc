#include "client/cli/time_format.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'750'000'000);

TEST(ParseDurationTest, AddsUpNumbersWithUnits) {
  EXPECT_EQ(*ParseDuration("90s"), absl::Seconds(90));
  EXPECT_EQ(*ParseDuration("15m"), absl::Minutes(15));
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("2d"), absl::Hours(48));
  EXPECT_EQ(*ParseDuration("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ParseDuration("1.5h"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("0s"), absl::ZeroDuration());
  EXPECT_EQ(*ParseDuration("-10m"), -absl::Minutes(10));
}

TEST(ParseDurationTest, RefusesWhatIsNoDuration) {
  for (const char* text : {"", "-", "90", "h", "1x", "1h30", "1 h", "--1h", "1h-1m", "1e3s",
                           "1..5h", "inf", "infs", "999999999999d", "1H", "٣h"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
  EXPECT_THAT(std::string(ParseDuration("90").status().message()), ::testing::HasSubstr("90s"));
}

TEST(ParseTimeTest, TakesADurationAgoOrAMoment) {
  EXPECT_EQ(*ParseTime("2h", kNow), kNow - absl::Hours(2));
  EXPECT_EQ(*ParseTime("2025-06-15T15:06:40Z", kNow), kNow);
  EXPECT_EQ(*ParseTime("2025-06-15T17:06:40.5+02:00", kNow), kNow + absl::Milliseconds(500));
  const absl::TimeZone zone = absl::FixedTimeZone(2 * 60 * 60);
  EXPECT_EQ(*ParseTime(LocalTime(kNow, zone), kNow), kNow);
}

TEST(ParseTimeTest, RefusesWhatIsNeither) {
  for (const char* text : {"", "yesterday", "-2h", "2025-06-15", "2025-06-15T15:06:40",
                           "1750000000", "infinite-past", "2025-13-15T15:06:40Z"}) {
    EXPECT_FALSE(ParseTime(text, kNow).ok()) << text;
  }
}

TEST(DurationTextTest, TakesTheLargestUnitWithoutAFraction) {
  EXPECT_EQ(DurationText(absl::Hours(24)), "24 h");
  EXPECT_EQ(DurationText(absl::Hours(48)), "2 d");
  EXPECT_EQ(DurationText(absl::Hours(49)), "49 h");
  EXPECT_EQ(DurationText(absl::Minutes(90)), "90 min");
  EXPECT_EQ(DurationText(absl::Minutes(60)), "1 h");
  EXPECT_EQ(DurationText(absl::Seconds(90)), "90 s");
  EXPECT_EQ(DurationText(absl::Milliseconds(250)), "250 ms");
  EXPECT_EQ(DurationText(absl::Milliseconds(1500)), "1.5 s");
  EXPECT_EQ(DurationText(absl::Milliseconds(90'540)), "90.5 s");
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0 s");
}

TEST(AgeTextTest, IsCoarse) {
  EXPECT_EQ(AgeText(kNow, kNow), "just now");
  EXPECT_EQ(AgeText(kNow - absl::Milliseconds(4999), kNow), "just now");
  EXPECT_EQ(AgeText(kNow - absl::Seconds(5), kNow), "5 s ago");
  EXPECT_EQ(AgeText(kNow - absl::Seconds(59), kNow), "59 s ago");
  EXPECT_EQ(AgeText(kNow - absl::Seconds(200), kNow), "3 min ago");
  EXPECT_EQ(AgeText(kNow - absl::Hours(47), kNow), "47 h ago");
  EXPECT_EQ(AgeText(kNow - absl::Hours(24 * 10), kNow), "10 d ago");
}

// The gateway's clock may be ahead of ours.
TEST(AgeTextTest, KnowsTheFuture) {
  EXPECT_EQ(AgeText(kNow + absl::Seconds(4), kNow), "just now");
  EXPECT_EQ(AgeText(kNow + absl::Minutes(3), kNow), "in 3 min");
}

TEST(LocalTimeTest, NamesItsOffset) {
  EXPECT_EQ(LocalTime(kNow, absl::FixedTimeZone(2 * 60 * 60)), "2025-06-15 17:06:40+02:00");
  EXPECT_EQ(LocalTime(kNow, absl::UTCTimeZone()), "2025-06-15 15:06:40+00:00");
}

}  // namespace
}  // namespace hookgate::cli
