#include "server/grpc_server/timeout.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

TEST(TimeoutTest, EveryUnitIsRead) {
  EXPECT_EQ(ParseGrpcTimeout("2H"), absl::Hours(2));
  EXPECT_EQ(ParseGrpcTimeout("3M"), absl::Minutes(3));
  EXPECT_EQ(ParseGrpcTimeout("10S"), absl::Seconds(10));
  EXPECT_EQ(ParseGrpcTimeout("100m"), absl::Milliseconds(100));
  EXPECT_EQ(ParseGrpcTimeout("7u"), absl::Microseconds(7));
  EXPECT_EQ(ParseGrpcTimeout("0n"), absl::ZeroDuration());
  EXPECT_EQ(ParseGrpcTimeout("99999999H"), absl::Hours(99'999'999));
}

TEST(TimeoutTest, AllElseIsNone) {
  for (const char* text :
       {"", "S", "1", "1s", "-1S", "+1S", " 1S", "1 S", "1.5S", "123456789S", "0x1S", "1SS"}) {
    EXPECT_EQ(ParseGrpcTimeout(text), absl::nullopt) << text;
  }
}

}  // namespace
}  // namespace hookgate
