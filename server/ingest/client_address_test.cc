#include "server/ingest/client_address.h"

#include <gtest/gtest.h>

#include <string>

#include "server/ingest/fake_head.h"

namespace hookgate {
namespace {

// Of a request from `peer` with these X-Forwarded-For fields; 10.0.0.0/8 and fd00::/8 are trusted.
std::string ClientOf(const std::string& peer, const std::vector<std::string>& forwarded_for) {
  FakeHead::Fields fields;
  for (const std::string& value : forwarded_for) fields.emplace_back("X-Forwarded-For", value);
  FakeHead head = FakeHead::With(fields);
  head.set_peer(peer);
  const auto client =
      ClientAddress(head, {*Network::Parse("10.0.0.0/8"), *Network::Parse("fd00::/8")});
  return client.has_value() ? client->ToString() : "nobody";
}

TEST(ClientAddressTest, StrangersAreThemselvesWhateverTheySay) {
  EXPECT_EQ(ClientOf("203.0.113.9", {}), "203.0.113.9");
  EXPECT_EQ(ClientOf("203.0.113.9", {"192.0.2.1"}), "203.0.113.9");
  EXPECT_EQ(ClientOf("203.0.113.9", {"10.0.0.1"}), "203.0.113.9");
}

TEST(ClientAddressTest, TrustedProxyNamesTheClient) {
  EXPECT_EQ(ClientOf("10.0.0.1", {"192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("fd00::1", {"2001:db8::1"}), "2001:db8::1");
  EXPECT_EQ(ClientOf("::ffff:10.0.0.1", {"192.0.2.1"}), "192.0.2.1");
}

// The client writes what it likes before the address that the proxy adds.
TEST(ClientAddressTest, OnlyWhatTrustedProxiesAddedIsBelieved) {
  EXPECT_EQ(ClientOf("10.0.0.1", {"198.51.100.1, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"198.51.100.1", "192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"garbage, 192.0.2.1"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"198.51.100.1, 192.0.2.1, 10.0.0.2"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"198.51.100.1, 10.9.9.9, 192.0.2.1,10.0.0.2"}), "192.0.2.1");
}

TEST(ClientAddressTest, OnlyProxiesMeansTheFirstOfThem) {
  EXPECT_EQ(ClientOf("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"10.0.0.3, 10.0.0.2"}), "10.0.0.3");
}

TEST(ClientAddressTest, PortsAndBracketsAreTaken) {
  EXPECT_EQ(ClientOf("10.0.0.1", {"192.0.2.1:4711"}), "192.0.2.1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"[2001:db8::1]:4711"}), "2001:db8::1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"[2001:db8::1]"}), "2001:db8::1");
}

TEST(ClientAddressTest, ZoneOfThePeerIsLeftOut) {
  EXPECT_EQ(ClientOf("fe80::1%eth0", {}), "fe80::1");
  EXPECT_EQ(ClientOf("10.0.0.1", {"fe80::1%eth0"}), "nobody");
}

TEST(ClientAddressTest, GarbageIsNobody) {
  for (const char* entry : {"", "unknown", "192.0.2.1,", "192.0.2.1;", "[2001:db8::1", "[::1]x",
                            "_hidden", "192.0.2.256"}) {
    EXPECT_EQ(ClientOf("10.0.0.1", {entry}), "nobody") << entry;
  }
  EXPECT_EQ(ClientOf("", {"192.0.2.1"}), "nobody");
}

}  // namespace
}  // namespace hookgate
