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
  EXPECT_EQ(*ParseDuration("2w"), absl::Hours(14 * 24));
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

// Every flag that takes a time is read by ParseTime, so this table holds for all of them. Local
// forms were refused: the very ones that tables print and people type.
TEST(ParseTimeTest, TakesADurationAgoALocalTimeOrAMoment) {
  const absl::TimeZone zone = absl::FixedTimeZone(2 * 60 * 60);
  const struct {
    const char* text;
    const char* moment;
  } kCases[] = {
      {"2h", "2025-06-15 13:06:40+00:00"},
      {"1w", "2025-06-08 15:06:40+00:00"},
      {"1w2d", "2025-06-06 15:06:40+00:00"},
      {"0s", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15T15:06:40Z", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15t15:06:40z", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15T15:06Z", "2025-06-15 15:06:00+00:00"},
      {"2025-06-15T17:06:40+02:00", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15 17:06:40+02:00", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15 17:06:40-05:30", "2025-06-15 22:36:40+00:00"},
      {"2025-06-15 17:06:40", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15T17:06:40", "2025-06-15 15:06:40+00:00"},
      {"2025-06-15 17:06", "2025-06-15 15:06:00+00:00"},
      {"2025-06-15T17:06", "2025-06-15 15:06:00+00:00"},
      {"2025-06-15", "2025-06-14 22:00:00+00:00"},
      {"2024-02-29", "2024-02-28 22:00:00+00:00"},
  };
  for (const auto& [text, moment] : kCases) {
    const absl::StatusOr<absl::Time> time = ParseTime(text, kNow, zone);
    ASSERT_TRUE(time.ok()) << text << ": " << time.status();
    EXPECT_EQ(LocalTime(*time, absl::UTCTimeZone()), moment) << text;
  }
  EXPECT_EQ(*ParseTime("2025-06-15T17:06:40.5+02:00", kNow, zone), kNow + absl::Milliseconds(500));
  EXPECT_EQ(*ParseTime("2025-06-15 17:06:40.25", kNow, zone), kNow + absl::Milliseconds(250));
  EXPECT_EQ(*ParseTime(LocalTime(kNow, zone), kNow, absl::UTCTimeZone()), kNow)
      << "what is printed names its zone";
}

TEST(ParseTimeTest, RefusesWhatIsNoTime) {
  for (const char* text : {"",
                           "yesterday",
                           "-2h",
                           "1750000000",
                           "infinite-past",
                           "infinite-future",
                           "2025-13-15",
                           "2025-02-29",
                           "2025-06-15T25:00",
                           "2025-06-15T15:06:40+99:00x",
                           "2025-6-15",
                           "25-06-15",
                           " 2025-06-15",
                           "2025-06-15 ",
                           "2025-06-15T",
                           "2025-06-15  17:06",
                           "2025-06-15 17",
                           "2025-06-15T15:06:40ZZ",
                           "02025-06-15",
                           "-2025-06-15",
                           "0000-01-01",
                           "15:06",
                           "2025-06-15x",
                           "2025-06-15 17:06:40 +02:00"}) {
    EXPECT_FALSE(ParseTime(text, kNow, absl::UTCTimeZone()).ok()) << text;
  }
  EXPECT_THAT(std::string(ParseTime("yesterday", kNow, absl::UTCTimeZone()).status().message()),
              ::testing::HasSubstr("2026-03-01"));
}

// Days on which clocks are set, in zones that do it by night and at midnight.
TEST(ParseTimeTest, KnowsDaysOnWhichClocksAreSet) {
  const struct {
    const char* zone;
    const char* text;
    const char* result;  // As printed there; or, in the error, what may be meant.
    bool ok;
  } kCases[] = {
      {"Europe/Berlin", "2026-03-29", "2026-03-29 00:00:00+01:00", true},
      {"Europe/Berlin", "2026-03-30", "2026-03-30 00:00:00+02:00", true},
      {"Europe/Berlin", "2026-03-29 01:59:59", "2026-03-29 01:59:59+01:00", true},
      {"Europe/Berlin", "2026-03-29 02:30", "2026-03-29 03:00:00+02:00", false},
      {"Europe/Berlin", "2026-03-29 03:00", "2026-03-29 03:00:00+02:00", true},
      {"Europe/Berlin", "2026-10-25", "2026-10-25 00:00:00+02:00", true},
      {"Europe/Berlin", "2026-10-25 01:59", "2026-10-25 01:59:00+02:00", true},
      {"Europe/Berlin", "2026-10-25 02:30", "2026-10-25 02:30:00+02:00", false},
      {"Europe/Berlin", "2026-10-25T02:30", "2026-10-25 02:30:00+01:00", false},
      {"Europe/Berlin", "2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+02:00", true},
      {"Europe/Berlin", "2026-10-25 02:30:00+01:00", "2026-10-25 02:30:00+01:00", true},
      {"Europe/Berlin", "2026-10-25 03:00", "2026-10-25 03:00:00+01:00", true},
      // The day began at 01:00.
      {"America/Sao_Paulo", "2018-11-04", "2018-11-04 01:00:00-02:00", true},
      // And here its first hour came twice.
      {"America/Havana", "2024-11-03", "2024-11-03 00:00:00-04:00", true},
      {"America/Havana", "2024-11-03 00:30", "2024-11-03 00:30:00-05:00", false},
      {"Asia/Kolkata", "2026-03-29 02:30", "2026-03-29 02:30:00+05:30", true},
  };
  for (const auto& [name, text, result, ok] : kCases) {
    absl::TimeZone zone;
    ASSERT_TRUE(absl::LoadTimeZone(name, &zone)) << name << ": this needs the package tzdata";
    const absl::StatusOr<absl::Time> time = ParseTime(text, kNow, zone);
    ASSERT_EQ(time.ok(), ok) << name << " " << text;
    EXPECT_THAT(ok ? LocalTime(*time, zone) : std::string(time.status().message()),
                ::testing::HasSubstr(result))
        << name << " " << text;
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

// "4321 min" for three days: no number that has to be divided before it says something.
TEST(DurationTextTest, TakesPartsInPlaceOfALargeNumber) {
  EXPECT_EQ(DurationText(absl::Minutes(4321)), "3 d 1 min");
  EXPECT_EQ(DurationText(absl::Seconds(3601)), "1 h 1 s");
  EXPECT_EQ(DurationText(absl::Minutes(150)), "2 h 30 min");
  EXPECT_EQ(DurationText(absl::Hours(24 * 365)), "365 d");
  EXPECT_EQ(DurationText(-absl::Minutes(90)), "-90 min");
}

TEST(CoarseDurationTextTest, HasTheTwoUnitsThatCount) {
  EXPECT_EQ(CoarseDurationText(absl::Seconds(90.5)), "90 s");
  EXPECT_EQ(CoarseDurationText(absl::Milliseconds(999)), "0 s");
  EXPECT_EQ(CoarseDurationText(absl::Minutes(20) + absl::Seconds(59)), "20 min");
  EXPECT_EQ(CoarseDurationText(absl::Minutes(312)), "5 h 12 min");
  EXPECT_EQ(CoarseDurationText(absl::Hours(2)), "2 h");
  EXPECT_EQ(CoarseDurationText(absl::Minutes(4321)), "3 d");
  EXPECT_EQ(CoarseDurationText(absl::Hours(74) + absl::Minutes(59)), "3 d 2 h");
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
