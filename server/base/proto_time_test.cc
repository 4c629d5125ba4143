#include "server/base/proto_time.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace hookgate {
namespace {

TEST(ProtoTimeTest, TimesComeBackInWholeMicroseconds) {
  const absl::Time time = absl::FromUnixMicros(-1'234'567);
  EXPECT_EQ(*FromProto(ToProto(time), "time"), time);
  EXPECT_EQ(*FromProto(ToProto(absl::Microseconds(-7)), "duration"), absl::Microseconds(-7));
  EXPECT_EQ(*FromProto(ToProto(absl::Nanoseconds(1'999)), "duration"), absl::Microseconds(1));
}

// One flipped bit in a stored time ended the gateway each time that somebody listed the row.
TEST(ProtoTimeTest, WhatTheTypesDoNotAllowIsTheirFirstOrLast) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const absl::Time time : {absl::FromUnixMicros(kLeast), absl::InfinitePast(),
                                absl::FromUnixSeconds(-62'135'596'801)}) {
    const auto read = FromProto(ToProto(time), "time");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, absl::FromUnixSeconds(-62'135'596'800));
  }
  for (const absl::Time time : {absl::FromUnixMicros(kMost), absl::InfiniteFuture(),
                                absl::FromUnixSeconds(253'402'300'800)}) {
    const auto read = FromProto(ToProto(time), "time");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, absl::FromUnixSeconds(253'402'300'799));
  }
  for (const absl::Duration duration : {absl::Microseconds(kMost), absl::InfiniteDuration()}) {
    for (const int sign : {1, -1}) {
      const auto read = FromProto(ToProto(sign * duration), "duration");
      ASSERT_TRUE(read.ok()) << read.status();
      EXPECT_EQ(*read, sign * absl::Seconds(315'576'000'000));
    }
  }
}

}  // namespace
}  // namespace hookgate
