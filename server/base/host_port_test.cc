#include "server/base/host_port.h"

#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

bool CollideTexts(const std::string& one, const std::string& other) {
  return Collide(*ParseHostPort(one), *ParseHostPort(other));
}

TEST(HostPortTest, IsANameOrANumberAndAPort) {
  EXPECT_EQ(ParseHostPort("gate.example:443")->host, "gate.example");
  EXPECT_EQ(ParseHostPort("gate.example:443")->port, 443);
  EXPECT_EQ(ParseHostPort("[::1]:0")->host, "[::1]");
  EXPECT_EQ(ParseHostPort("[::1]:0")->bare_host(), "::1");
  EXPECT_EQ(ParseHostPort("gate.example:443")->bare_host(), "gate.example");
  for (const char* const bad : {"", ":", "host", ":80", "host:", "host:65536", "host:-1", "host:8a",
                                "::1:80", "[]:80", "[::1:80", "a]:80", "host: 80", "[[::1]]:80"}) {
    EXPECT_FALSE(ParseHostPort(bad).has_value()) << bad;
  }
}

TEST(HostPortTest, LoopbackIsANumberAndNotALook) {
  for (const char* const text : {"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1"}) {
    EXPECT_TRUE(ParseHostPort(text)->is_loopback()) << text;
  }
  for (const char* const text : {"127.example.com:1", "10.0.0.1:1", "[::]:1", "0.0.0.0:1"}) {
    EXPECT_FALSE(ParseHostPort(text)->is_loopback()) << text;
  }
}

TEST(HostPortTest, OneListenerKeepsAnotherFromItsPort) {
  EXPECT_TRUE(CollideTexts("127.0.0.1:80", "localhost:80"));
  EXPECT_TRUE(CollideTexts("0.0.0.0:80", "10.0.0.1:80"));
  EXPECT_TRUE(CollideTexts("[::]:80", "10.0.0.1:80"));
  EXPECT_TRUE(CollideTexts("[0:0::1]:80", "[::1]:80"));
  EXPECT_FALSE(CollideTexts("0.0.0.0:80", "[::1]:80"));
  EXPECT_FALSE(CollideTexts("127.0.0.1:80", "127.0.0.1:81"));
  EXPECT_FALSE(CollideTexts("127.0.0.1:0", "127.0.0.1:0"));
}

}  // namespace
}  // namespace hookgate
