#include "tests/support/secret_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// 32 bytes that are no text, with '+' and '/' in their base64.
constexpr char kSecret[] = "whsec_+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0=";
constexpr char kBytes[] =
    "\xfb\xff\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"
    "\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d";

class SecretWatchTest : public testing::Test {
 protected:
  // Whether it is found in the midst of something else.
  bool Bites(absl::string_view spelling, SecretWatch::Place place = SecretWatch::kAnswer) {
    return !watch_.Disclosures(place, absl::StrCat("x", spelling, "y")).empty();
  }

  SecretWatch watch_;
};

TEST_F(SecretWatchTest, SecretIsFoundInEachSpelling) {
  watch_.KeepSecret("the secret", kSecret);
  const std::string bytes(kBytes, 32);
  EXPECT_TRUE(Bites(kSecret));
  EXPECT_TRUE(Bites("+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0="));
  EXPECT_TRUE(Bites("+/8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0"));
  EXPECT_TRUE(Bites("-_8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0"));
  EXPECT_TRUE(Bites(bytes));
  EXPECT_TRUE(Bites("fbff000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d"));
  EXPECT_TRUE(Bites("FBFF000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D"));
  EXPECT_TRUE(Bites(R"(\373\377\000\001\002\003\004\005\006\007\010\t\n\013\014\r)"
                    R"(\016\017\020\021\022\023\024\025\026\027\030\031\032\033\034\035)"));
  EXPECT_TRUE(Bites(R"(\xfb\xff\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r)"
                    R"(\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d)"));
  EXPECT_FALSE(Bites("whsec_"));
  EXPECT_FALSE(Bites(bytes.substr(1)));
}

TEST_F(SecretWatchTest, SecretWithoutAPrefixIsItsOwnBytes) {
  watch_.KeepSecret("the secret", "plain text secret");
  EXPECT_TRUE(Bites("plain text secret"));
  EXPECT_TRUE(Bites("706c61696e207465787420736563726574"));
}

TEST_F(SecretWatchTest, TokenIsFoundAsItIsAndEncoded) {
  watch_.KeepToken("the token", "a bearer's token");
  EXPECT_TRUE(Bites("a bearer's token"));
  EXPECT_TRUE(Bites("YSBiZWFyZXIncyB0b2tlbg"));
  EXPECT_TRUE(
      Bites("612062656172657227732074"
            "6f6b656e"));
}

TEST_F(SecretWatchTest, EachEntryOfASignatureIsFound) {
  watch_.KeepSignature(
      "v1,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= v2,eA== "
      "v1,HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
  EXPECT_TRUE(Bites("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="));
  EXPECT_TRUE(Bites("HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));
  EXPECT_TRUE(Bites("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"));
  EXPECT_FALSE(Bites("v2,eA=="));
}

TEST_F(SecretWatchTest, BodiesAreKeptOutOfLogsAlone) {
  watch_.KeepBody("the body", "a part of a body");
  EXPECT_TRUE(Bites("a part of a body", SecretWatch::kLog));
  EXPECT_FALSE(Bites("a part of a body", SecretWatch::kAnswer));
}

TEST_F(SecretWatchTest, NamesWhatWasFoundAndHow) {
  watch_.KeepSecret("kOne", kSecret);
  watch_.KeepToken("kTwo", "token of two");
  EXPECT_THAT(watch_.Disclosures(SecretWatch::kLog, "746f6b656e206f662074776f"),
              testing::ElementsAre("kTwo, in hex"));
  EXPECT_THAT(watch_.Disclosures(SecretWatch::kLog, absl::StrCat(kSecret, "token of two")),
              testing::UnorderedElementsAre("kOne, its base64", "kTwo"));
  EXPECT_THAT(watch_.Disclosures(SecretWatch::kLog, ""), IsEmpty());
}

TEST_F(SecretWatchTest, WhatIsTooShortIsRefused) {
  EXPECT_NONFATAL_FAILURE(watch_.KeepToken("kShort", "right"), "kShort is too short");
}

TEST(ExpectNothingDisclosed, FailsTheTestAndNamesTheSecretWithoutQuotingIt) {
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    ExpectNothingDisclosed(SecretWatch::kAnswer, "the answer", kTestSecret);
    ExpectNothingDisclosed(SecretWatch::kAnswer, "the answer", "all is well");
  }
  ASSERT_EQ(failures.size(), 1);
  const std::string message = failures.GetTestPartResult(0).message();
  EXPECT_THAT(message, HasSubstr("the answer discloses kTestSecret"));
  EXPECT_THAT(SecretWatch::OfThisProgram().Disclosures(SecretWatch::kLog, message), IsEmpty());
}

TEST(KeepSignaturesOf, SignaturesAreThoseOfTheHeader) {
  const std::string signature = "QUVDQXdRRkJnY0lDUW9MREEwT0R4QVJFaE1VRlJZWEc=";
  KeepSignaturesOf(absl::StrCat("POST / HTTP/1.1\r\nSvix-Signature: v1,", signature,
                                "\r\n\r\nwebhook-signature: v1,no such field"));
  EXPECT_THAT(SecretWatch::OfThisProgram().Disclosures(SecretWatch::kLog, signature),
              Contains("a signature"));
}

}  // namespace
}  // namespace hookgate
