#include "client/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

using testing::HasSubstr;

std::string ErrorOf(absl::string_view target) { return std::string(CheckTarget(target).message()); }

TEST(CheckTargetTest, TakesHostAndPortAndTheNamesOfGrpc) {
  for (const char* target :
       {"127.0.0.1:50051", "localhost:1", "gateway:65535", "my_gateway.example.com:50051",
        "[::1]:50051", "[fe80::1%eth0]:50051", "dns:///gateway:50051", "dns:gateway:50051",
        "dns://8.8.8.8/gateway:50051", "unix:/run/hookgate.sock", "unix:///run/hookgate.sock",
        "unix-abstract:hookgate", "ipv4:127.0.0.1:50051", "ipv6:[::1]:50051"}) {
    EXPECT_EQ(ErrorOf(target), "") << target;
  }
}

// gRPC took each for a name to look up: the user heard, 20 s later or never, that no gateway runs.
TEST(CheckTargetTest, SaysWhatIsWrongAndWhatWouldBeRight) {
  const struct {
    const char* target;
    const char* wrong;
    const char* right;
  } kCases[] = {
      {"", "is empty", "127.0.0.1:50051"},
      {"localhost", "no port", "localhost:50051"},
      {"[::1]", "no port", "[::1]:50051"},
      {"dns:///gateway", "no port", "gateway:50051"},
      {"localhost:", "port is not a number", "HOST:PORT"},
      {"localhost:0", "port is not a number", "HOST:PORT"},
      {"localhost:65536", "port is not a number", "HOST:PORT"},
      {"localhost:+1", "port is not a number", "HOST:PORT"},
      {"localhost:grpc", "port is not a number", "HOST:PORT"},
      {"50051", "no host", "127.0.0.1:50051"},
      {":50051", "has no host", "HOST:PORT"},
      {"http://localhost:50051", "is a URL", "use localhost:50051"},
      {"HTTP://localhost:50051/", "is a URL", "use localhost:50051"},
      {"https://gateway:50051", "is a URL", "gateway:50051, and turn TLS on separately"},
      {"https://gateway", "is a URL", "HOST:PORT"},
      {"grpc://gateway:50051", "like a URL", "HOST:PORT"},
      {"::1:50051", "IPv6 address must be in brackets", "use [::1]:50051"},
      {"::1", "IPv6 address must be in brackets", "[::1]:50051"},
      {"2001:db8::1", "IPv6 address must be in brackets", "]:"},
      {"a:b:1", "more than one colon", "HOST:PORT"},
      {"[::1:50051", "not closed", "[ADDRESS]:PORT"},
      {"[localhost]:50051", "not an IPv6 address", "HOST:PORT"},
      {"user@gateway:50051", "characters", "HOST:PORT"},
      {"gate way:50051", "characters", "HOST:PORT"},
      {" localhost:50051", "characters", "HOST:PORT"},
      {"gateway:50051/", "port is not a number", "HOST:PORT"},
      {"unix:", "has no socket path", "HOST:PORT"},
  };
  for (const auto& [target, wrong, right] : kCases) {
    EXPECT_THAT(ErrorOf(target), HasSubstr(wrong)) << target;
    EXPECT_THAT(ErrorOf(target), HasSubstr(right)) << target;
  }
}

TEST(IsLoopbackTest, GoesByNumberOrName) {
  for (const char* target :
       {"127.0.0.1:50051", "127.1.2.3:1", "localhost:50051", "[::1]:50051", "dns:///127.0.0.1:1",
        "ipv4:127.0.0.1:1", "ipv6:[::1]:1", "unix:/run/hookgate.sock"}) {
    EXPECT_TRUE(IsLoopback(target)) << target;
  }
  for (const char* target : {"gateway:50051", "10.0.0.1:50051", "127.example.com:50051",
                             "localhost.example.com:50051", "0.0.0.0:50051", "[::2]:1"}) {
    EXPECT_FALSE(IsLoopback(target)) << target;
  }
}

}  // namespace
}  // namespace hookgate
