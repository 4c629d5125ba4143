#include "server/net/handshake_limiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using Address = HandshakeLimiter::Address;

Address V4(uint32_t host) {
  Address address = {};
  address[10] = address[11] = 0xff;
  for (size_t i = 0; i < 4; ++i) address[12 + i] = static_cast<uint8_t>(host >> (24 - 8 * i));
  return address;
}

// As a flood does it: as many as are let in.
int TakeAll(HandshakeLimiter& limiter, const Address& address, bool exempt = false) {
  int taken = 0;
  while (taken < 1'000 && limiter.HasRoom() && limiter.Take(address, exempt)) ++taken;
  return taken;
}

// Whoever connected and began TLS again and again had as much of the gateway's CPU as there was.
TEST(HandshakeLimiterTest, AnAddressHasItsShareAndOthersTheirs) {
  FakeClock clock;
  HandshakeLimiter limiter({.per_second = 100, .per_second_of_an_address = 10}, clock);
  EXPECT_EQ(TakeAll(limiter, V4(1)), 20);
  EXPECT_EQ(TakeAll(limiter, V4(1)), 0);
  EXPECT_EQ(TakeAll(limiter, V4(2)), 20);
  clock.Advance(absl::Milliseconds(500));
  EXPECT_EQ(TakeAll(limiter, V4(1)), 5);
  clock.Advance(absl::Hours(1));
  EXPECT_EQ(TakeAll(limiter, V4(1)), 20);
}

TEST(HandshakeLimiterTest, OfIpv6ANetworkIsAnAddress) {
  FakeClock clock;
  HandshakeLimiter limiter({.per_second = 100, .per_second_of_an_address = 10}, clock);
  Address host = {0x20, 0x01, 0x0d, 0xb8};
  EXPECT_EQ(TakeAll(limiter, host), 20);
  host.back() = 7;
  EXPECT_EQ(TakeAll(limiter, host), 0);
  host[7] = 1;
  EXPECT_EQ(TakeAll(limiter, host), 20);
}

TEST(HandshakeLimiterTest, AllOfThemHaveARateAndAProxyHasNoOther) {
  FakeClock clock;
  HandshakeLimiter limiter({.per_second = 30, .per_second_of_an_address = 10}, clock);
  EXPECT_EQ(TakeAll(limiter, V4(1), /*exempt=*/true), 60);
  EXPECT_FALSE(limiter.HasRoom());
  clock.Advance(absl::Milliseconds(100));
  EXPECT_TRUE(limiter.HasRoom());
  EXPECT_EQ(TakeAll(limiter, V4(2)), 3);
}

// Somebody who has millions of addresses must not fill the memory with them.
TEST(HandshakeLimiterTest, AddressesAreForgotten) {
  FakeClock clock;
  HandshakeLimiter limiter({.per_second = 1'000, .per_second_of_an_address = 10}, clock);
  size_t most = 0;
  for (uint32_t host = 0; host < 100'000; ++host) {
    while (!limiter.HasRoom()) clock.Advance(absl::Milliseconds(1));
    EXPECT_TRUE(limiter.Take(V4(host), /*exempt=*/false));
    most = std::max(most, limiter.addresses());
  }
  EXPECT_LE(most, 5'000u);
}

}  // namespace
}  // namespace hookgate
