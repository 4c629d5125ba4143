#include "client/proto_time.h"

#include "gtest/gtest.h"

namespace hookgate {
namespace {

TEST(ProtoTimeTest, TimesComeBackAsTheyWere) {
  for (const absl::Time time : {absl::UnixEpoch(), absl::FromUnixNanos(1'750'000'000'123'456'789),
                                absl::FromUnixNanos(-1'500'000'000)}) {
    EXPECT_EQ(FromProto(ToProto(time)), time);
    EXPECT_GE(ToProto(time).nanos(), 0);
  }
}

TEST(ProtoTimeTest, DurationsComeBackAsTheyWere) {
  for (const absl::Duration duration : {absl::ZeroDuration(), absl::Milliseconds(1500),
                                        absl::Milliseconds(-1500), absl::Hours(24 * 365)}) {
    EXPECT_EQ(FromProto(ToProto(duration)), duration);
  }
}

}  // namespace
}  // namespace hookgate
