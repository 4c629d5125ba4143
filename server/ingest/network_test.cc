#include "server/ingest/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hookgate {
namespace {

using testing::HasSubstr;

bool Contains(absl::string_view network, absl::string_view address) {
  const auto parsed = Network::Parse(network);
  const auto within = IpAddress::Parse(address);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(within.has_value()) << address;
  return parsed.ok() && within.has_value() && parsed->Contains(*within);
}

std::string ErrorOf(absl::string_view network) {
  const auto parsed = Network::Parse(network);
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << network;
  return std::string(parsed.status().message());
}

TEST(NetworkTest, ContainsWhatBeginsWithItsPrefix) {
  EXPECT_TRUE(Contains("192.0.2.0/24", "192.0.2.0"));
  EXPECT_TRUE(Contains("192.0.2.0/24", "192.0.2.255"));
  EXPECT_FALSE(Contains("192.0.2.0/24", "192.0.3.0"));
  EXPECT_TRUE(Contains("10.128.0.0/9", "10.200.1.1"));
  EXPECT_FALSE(Contains("10.128.0.0/9", "10.127.255.255"));
  EXPECT_TRUE(Contains("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(Contains("2001:db8::/33", "2001:db8:8000::1"));
}

TEST(NetworkTest, AddressIsANetworkOfItsOwn) {
  EXPECT_TRUE(Contains("192.0.2.1", "192.0.2.1"));
  EXPECT_FALSE(Contains("192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(Contains("192.0.2.1/32", "192.0.2.1"));
  EXPECT_TRUE(Contains("::1", "::1"));
}

TEST(NetworkTest, ZeroBitsAreEverybodyOfTheKind) {
  EXPECT_TRUE(Contains("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "2001:db8::1"));
  EXPECT_TRUE(Contains("::/0", "2001:db8::1"));
}

// A source that was opened to IPv6 took webhooks from every IPv4 address as well.
TEST(NetworkTest, NetworksOfIpv6HoldNoIpv4) {
  for (const char* const network : {"::/0", "::/1", "::/80", "::/90", "::fffe:0:0/95"}) {
    EXPECT_FALSE(Contains(network, "203.0.113.9")) << network;
    EXPECT_FALSE(Contains(network, "::ffff:203.0.113.9")) << network;
  }
  EXPECT_TRUE(Contains("::ffff:0:0/96", "203.0.113.9"));
  EXPECT_FALSE(Contains("0.0.0.0/0", "::1"));
}

TEST(NetworkTest, MappedIpv4IsIpv4) {
  EXPECT_TRUE(Contains("192.0.2.0/24", "::ffff:192.0.2.7"));
  EXPECT_TRUE(Contains("::ffff:192.0.2.0/120", "192.0.2.7"));
  EXPECT_EQ(IpAddress::Parse("::ffff:192.0.2.7")->ToString(), "192.0.2.7");
}

TEST(NetworkTest, WhatIsNoNetworkIsRefusedWithWhatWouldBeRight) {
  for (const char* text :
       {"", "/", "/8", "localhost", "10.0.0/8", "10.0.0.0.0", "[::1]", "fe80::1%1"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("write for example"));
  }
  for (const char* text : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8",
                           "10.0.0.0/99999999999"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("from 0 to 32"));
  }
  EXPECT_THAT(ErrorOf("::/129"), HasSubstr("from 0 to 128"));
  EXPECT_THAT(ErrorOf("192.0.2.7/24"), HasSubstr("write 192.0.2.0/24 for the network"));
  // What was advised was refused.
  EXPECT_THAT(ErrorOf("::ffff:1.2.3.4/100"), HasSubstr("write 0.0.0.0/4 for the network"));
  EXPECT_THAT(ErrorOf("::ffff:1.2.3.4/90"), HasSubstr("write ::ffc0:0:0/90 for the network"));
}

TEST(IpAddressTest, OnlyWholeAddressesAreTaken) {
  EXPECT_FALSE(IpAddress::Parse("192.0.2.1 ").has_value());
  EXPECT_FALSE(IpAddress::Parse("192.0.2.1:80").has_value());
  EXPECT_FALSE(IpAddress::Parse(absl::string_view("192.0.2.1\0x", 11)).has_value());
}

TEST(NetworkTest, IsCoveredByNetworksTogether) {
  const auto is_covered = [](const char* one, const std::vector<const char*>& by) {
    std::vector<Network> networks;
    for (const char* const text : by) networks.push_back(*Network::Parse(text));
    return Network::Parse(one)->IsCoveredBy(networks);
  };
  EXPECT_TRUE(is_covered("10.1.0.0/16", {"10.0.0.0/8"}));
  EXPECT_TRUE(is_covered("10.0.0.0/8", {"10.0.0.0/8"}));
  EXPECT_TRUE(is_covered("10.0.0.0/8", {"::ffff:0:0/96"}));
  EXPECT_TRUE(is_covered("::ffff:0:0/96", {"0.0.0.0/1", "128.0.0.0/1"}));
  EXPECT_TRUE(is_covered("192.0.2.0/24", {"192.0.2.128/25", "192.0.2.0/25"}));
  EXPECT_TRUE(is_covered("192.0.2.0/30", {"192.0.2.3", "192.0.2.0/31", "192.0.2.2"}));
  EXPECT_TRUE(is_covered("::/0", {"::/1", "8000::/1"}));
  EXPECT_TRUE(is_covered("192.0.2.7", {"192.0.2.6/31"}));
  EXPECT_FALSE(is_covered("10.0.0.0/8", {}));
  EXPECT_FALSE(is_covered("10.0.0.0/8", {"::/0"}));
  EXPECT_FALSE(is_covered("::/0", {"0.0.0.0/0"}));
  EXPECT_FALSE(is_covered("10.0.0.0/8", {"10.1.0.0/16"}));
  EXPECT_FALSE(is_covered("11.0.0.1", {"10.0.0.0/8"}));
  EXPECT_FALSE(is_covered("192.0.2.0/30", {"192.0.2.3", "192.0.2.0/31"}));
  EXPECT_FALSE(is_covered("0.0.0.0/0", {"0.0.0.0/1"}));
}

}  // namespace
}  // namespace hookgate
