#include "server/signature/hmac_sha256.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

std::string HexDigest(const HmacSha256Key& key, std::initializer_list<absl::string_view> parts) {
  const HmacSha256Key::DigestBytes digest = key.Digest(parts);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

// RFC 4231, section 4.
TEST(HmacSha256, ComputesWhatTheStandardSays) {
  EXPECT_EQ(HexDigest(HmacSha256Key(std::string(20, '\x0b')), {"Hi There"}),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(HexDigest(HmacSha256Key("Jefe"), {"what do ya want for nothing?"}),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexDigest(HmacSha256Key(std::string(131, '\xaa')),
                      {"Test Using Larger Than Block-Size Key - Hash Key First"}),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, PartsCountAsOneText) {
  const HmacSha256Key key("Jefe");
  EXPECT_EQ(HexDigest(key, {"what do ya ", "", "want for nothing?"}),
            HexDigest(key, {"what do ya want for nothing?"}));
}

TEST(HmacSha256, OneDigestLeavesNothingForTheNext) {
  const HmacSha256Key key("key");
  const std::string first = HexDigest(key, {"first"});
  EXPECT_NE(HexDigest(key, {"second"}), first);
  EXPECT_EQ(HexDigest(key, {"first"}), first);
  EXPECT_EQ(HexDigest(HmacSha256Key("key"), {"first"}), first);
}

TEST(HmacSha256, ThreadsDoNotDisturbEachOther) {
  const HmacSha256Key key("key");
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([key, i] {
      const std::string text = absl::StrCat("text ", i);
      const std::string expected = HexDigest(HmacSha256Key("key"), {text});
      for (int round = 0; round < 2000; ++round) ASSERT_EQ(HexDigest(key, {text}), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace hookgate
