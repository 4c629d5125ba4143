// The published vectors, and everything that is one table row, stand in
// tests/conformance/standard_webhooks.txt.
#include "server/signature/standard_webhooks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/reason.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kId[] = "wh_1";
constexpr char kTimestamp[] = "1750861210";
constexpr char kBody[] = R"({"type": "batch.failed"})";
const absl::Time kNow = absl::FromUnixSeconds(1750861210);
constexpr absl::Duration kTolerance = absl::Seconds(300);

// Signed kId, kTimestamp and kBody; made with Python's cryptography.
constexpr char kPublicKey[] = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
constexpr char kPublicKeySignature[] =
    "v1a,WwgOg9VS5zhCjO1OP0r03PUcfZW8J/TKLEoW1zyEIH4H1a4x+IyVstgeDLDFYpsFsC3PvK4cJTSEVJ8715OoAg==";

// Raw text if it has no prefix.
Secret MakeSecret(absl::string_view text) {
  const bool has_prefix = absl::StartsWith(text, "wh");
  return (has_prefix ? Secret::Parse("test", text) : Secret::FromRawText("test", text)).value();
}

// What a request holds; the defaults verify against MakeSecret("key").
struct Request {
  std::string id = kId;
  std::string timestamp = kTimestamp;
  std::string signature = Sign(MakeSecret("key"), kId, kTimestamp, kBody);
  std::string body = kBody;
};

absl::StatusOr<VerifiedWebhook> VerifyAt(absl::Time now, const Request& request,
                                         const std::vector<Secret>& secrets = {MakeSecret("key")}) {
  return Verify({.id = request.id, .timestamp = request.timestamp, .signature = request.signature},
                request.body, secrets, now, kTolerance);
}

std::string ReasonFor(const Request& request) { return ReasonOf(VerifyAt(kNow, request).status()); }

TEST(SecretTest, PrefixedTextIsBase64AndRawTextIsTheKeyItself) {
  EXPECT_EQ(MakeSecret("whsec_aGVsbG8=").key(), "hello");
  EXPECT_EQ(Secret::FromRawText("test", "aGVsbG8=")->key(), "aGVsbG8=");
  EXPECT_EQ(Secret::FromRawText("test", " two words\n")->key(), " two words\n");
  EXPECT_FALSE(Secret::FromRawText("test", "").ok());
  EXPECT_FALSE(Secret::FromRawText("test", " \n").ok());
}

// A restart knows a secret again by its tag, which the log holds.
TEST(SecretTest, TagIsOfTheKeyAndTheSaltAlone) {
  const Secret secret = MakeSecret("whsec_aGVsbG8=");
  EXPECT_EQ(secret.Tag("salt"), Secret::Parse("other", "whsec_aGVsbG8=")->Tag("salt"));
  EXPECT_EQ(secret.Tag("salt"), Secret::FromRawText("test", "hello")->Tag("salt"));
  int same = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string salt = absl::StrCat("salt ", i);
    same += secret.Tag(salt) == secret.Tag("salt") ? 1 : 0;
    same += MakeSecret(absl::StrCat("key ", i)).Tag("salt") == secret.Tag("salt") ? 1 : 0;
    same += MakeSecret(kPublicKey).Tag(salt) == MakeSecret(kPublicKey).Tag("salt") ? 1 : 0;
  }
  EXPECT_LE(same, 2);
}

TEST(SecretTest, NameIsKept) {
  EXPECT_EQ(Secret::Parse("new", "whsec_aGVsbG8=").value().name(), "new");
  EXPECT_EQ(Secret::FromRawText("new", "key").value().name(), "new");
}

TEST(SecretTest, EmptyBlankAndUndecodableTextsAreRefused) {
  for (const char* text : {"", " ", "\t\r\n", "key", "aGVsbG8=", "WHSEC_aGVsbG8=", "whsec_",
                           "whsec_ ", "whsec_aGVsbG8", "whsec_aGVsbG8=\n", "whsec_ aGVsbG8=",
                           "whsec_aGVs bG8=", "whsec_aGVsbG9=", "whsec_aGVsbG8==", "whsec_aGVsbG8.",
                           "whsec_aGV-bG8=", "whsec_=", "whsec_a", "whsec_\"aGVs\""}) {
    EXPECT_EQ(Secret::Parse("test", text).status().code(), absl::StatusCode::kInvalidArgument)
        << "[" << text << "]";
  }
}

TEST(SecretTest, PublicKeyHasNoKeyThatHmacCouldTake) {
  const Secret secret = MakeSecret(kPublicKey);
  EXPECT_NE(secret.public_key(), nullptr);
  EXPECT_EQ(secret.key(), "");
  EXPECT_EQ(MakeSecret("key").public_key(), nullptr);
}

TEST(SecretTest, PublicKeyIsStrictBase64Of32Bytes) {
  for (const char* text :
       {"whpk_", "whpk_aGVsbG8=", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4",
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir5=",
        "whpk_ 1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=\n",
        "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}) {
    EXPECT_EQ(Secret::Parse("test", text).status().code(), absl::StatusCode::kInvalidArgument)
        << "[" << text << "]";
  }
}

TEST(SecretTest, PrivateKeyIsRefusedWithTheReason) {
  const absl::Status status =
      Secret::Parse("test", "whsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("belongs to the sender alone"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("whpk_"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("AAEC")));
}

TEST(SecretTest, ErrorNamesTheSecretButHoldsNoPartOfIt) {
  const std::string message(Secret::Parse("old", "whsec_Zm9vYmFy!").status().message());
  EXPECT_THAT(message, HasSubstr("\"old\""));
  EXPECT_THAT(message, Not(HasSubstr("Zm9v")));
}

TEST(VerifyTest, WhatSignMakesIsAcceptedWithItsTime) {
  const auto verified = VerifyAt(kNow + absl::Seconds(7), Request());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->webhook_time, kNow);
  EXPECT_THAT(verified->secret_indices, ElementsAre(0));
}

TEST(VerifyTest, EveryByteOfTheBodyIsSigned) {
  Request request;
  request.body = std::string("a\0b\xff", 4);
  request.signature = Sign(MakeSecret("key"), kId, kTimestamp, request.body);
  EXPECT_TRUE(VerifyAt(kNow, request).ok());
  request.body[3] = '\xfe';
  EXPECT_EQ(ReasonFor(request), reason::kSignatureMismatch);
}

TEST(VerifyTest, TimestampIsSignedAsTextNotAsNumber) {
  Request request;
  request.timestamp = "01750861210";
  EXPECT_EQ(ReasonFor(request), reason::kSignatureMismatch);
  request.signature = Sign(MakeSecret("key"), kId, request.timestamp, kBody);
  EXPECT_TRUE(VerifyAt(kNow, request).ok());
}

TEST(VerifyTest, RotationTellsWhichSecretHadSigned) {
  const std::vector<Secret> secrets = {MakeSecret("new"), MakeSecret("key"), MakeSecret("older")};
  const auto verified = VerifyAt(kNow, Request(), secrets);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_THAT(verified->secret_indices, ElementsAre(1));

  // A sender may sign with both while it rotates.
  Request twice;
  twice.signature = absl::StrCat(Sign(MakeSecret("older"), kId, kTimestamp, kBody), " ",
                                 Sign(MakeSecret("new"), kId, kTimestamp, kBody));
  EXPECT_THAT(VerifyAt(kNow, twice, secrets)->secret_indices, ElementsAre(0, 2));
}

TEST(VerifyTest, PublicKeyVerifiesItsOwnEntriesOnly) {
  const std::vector<Secret> both = {MakeSecret(kPublicKey), MakeSecret("key")};
  Request request;
  EXPECT_THAT(VerifyAt(kNow, request, both)->secret_indices, ElementsAre(1));
  request.signature = kPublicKeySignature;
  EXPECT_THAT(VerifyAt(kNow, request, both)->secret_indices, ElementsAre(0));
  EXPECT_EQ(ReasonFor(request), reason::kSignatureMismatch);  // by "key" alone

  // Whoever knows the public key tries it as a shared secret.
  request.signature = Sign(MakeSecret("whsec_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="), kId,
                           kTimestamp, kBody);
  EXPECT_EQ(ReasonOf(VerifyAt(kNow, request, both).status()), reason::kSignatureMismatch);
  request.signature = absl::StrCat("v1a,", request.signature.substr(3));
  EXPECT_EQ(ReasonOf(VerifyAt(kNow, request, both).status()), reason::kSignatureMismatch);
}

TEST(VerifyTest, EveryByteOfTheBodyIsSignedByAPrivateKeyToo) {
  Request request;
  request.signature = kPublicKeySignature;
  EXPECT_TRUE(VerifyAt(kNow, request, {MakeSecret(kPublicKey)}).ok());
  request.body.back() = ']';
  EXPECT_EQ(ReasonOf(VerifyAt(kNow, request, {MakeSecret(kPublicKey)}).status()),
            reason::kSignatureMismatch);
}

TEST(SignDeathTest, PublicKeySignsNothing) {
  EXPECT_DEATH(Sign(MakeSecret(kPublicKey), kId, kTimestamp, kBody), "a public key cannot sign");
}

TEST(VerifyTest, NoSecretMatchesNothing) {
  EXPECT_EQ(ReasonOf(VerifyAt(kNow, Request(), {}).status()), reason::kSignatureMismatch);
}

TEST(VerifyTest, WindowIsInclusiveBothWaysInWholeSeconds) {
  EXPECT_TRUE(VerifyAt(kNow + absl::Milliseconds(300'999), Request()).ok());
  EXPECT_TRUE(VerifyAt(kNow - absl::Seconds(300), Request()).ok());

  const absl::Status old = VerifyAt(kNow + absl::Seconds(412), Request()).status();
  EXPECT_EQ(ReasonOf(old), reason::kTimestampTooOld);
  EXPECT_EQ(std::string(old.message()),
            "webhook-timestamp is 412 s older than now; at most 300 s are allowed");
  const absl::Status fresh = VerifyAt(kNow - absl::Seconds(301), Request()).status();
  EXPECT_EQ(ReasonOf(fresh), reason::kTimestampTooNew);
  EXPECT_EQ(std::string(fresh.message()),
            "webhook-timestamp is 301 s newer than now; at most 300 s are allowed");
}

TEST(VerifyTest, ClockAtTheEndsOfTimeIsHarmless) {
  EXPECT_EQ(ReasonOf(VerifyAt(absl::InfiniteFuture(), Request()).status()),
            reason::kTimestampTooOld);
  EXPECT_EQ(ReasonOf(VerifyAt(absl::InfinitePast(), Request()).status()), reason::kTimestampTooNew);
}

TEST(VerifyTest, AbsentHeadersAreNamedAndDifferFromEmptyOnes) {
  const std::vector<Secret> secrets = {MakeSecret("key")};
  const absl::Status none = Verify({}, kBody, secrets, kNow, kTolerance).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReasonOf(none), reason::kMissingHeader);
  EXPECT_THAT(std::string(none.message()),
              HasSubstr("missing: webhook-id, webhook-timestamp, webhook-signature;"));

  // Absence is told first, even where another header is malformed.
  const absl::Status one =
      Verify({.id = "", .timestamp = "x", .signature = {}}, kBody, secrets, kNow, kTolerance)
          .status();
  EXPECT_EQ(ReasonOf(one), reason::kMissingHeader);
  EXPECT_THAT(std::string(one.message()), HasSubstr("missing: webhook-signature;"));
}

TEST(VerifyTest, IdIsOneTo256PrintableAsciiBytes) {
  const auto reason_for = [](const std::string& id) {
    Request request;
    request.id = id;
    request.signature = Sign(MakeSecret("key"), id, kTimestamp, kBody);
    return ReasonFor(request);
  };
  EXPECT_EQ(reason_for("!~"), "");
  EXPECT_EQ(reason_for(std::string(256, 'a')), "");
  EXPECT_EQ(reason_for(std::string(257, 'a')), reason::kMalformedHeader);
  EXPECT_EQ(reason_for(""), reason::kMalformedHeader);
  EXPECT_EQ(reason_for("a b"), reason::kMalformedHeader);
  EXPECT_EQ(reason_for("a\x7f"), reason::kMalformedHeader);
  EXPECT_EQ(reason_for("\xc3\xa9"), reason::kMalformedHeader);
  EXPECT_EQ(reason_for(std::string("a\0b", 3)), reason::kMalformedHeader);
}

TEST(VerifyTest, TimestampIsOneTo12DecimalDigits) {
  for (const char* timestamp : {"", " ", "+1750861210", "-1750861210", " 1750861210", "1750861210 ",
                                "1_750_861_210", "1750861210.0", "1.75e9", "0x685c059a",
                                "1750861210x", "0001750861210", "99999999999999999999"}) {
    Request request;
    request.timestamp = timestamp;
    request.signature = Sign(MakeSecret("key"), kId, timestamp, kBody);
    EXPECT_EQ(ReasonFor(request), reason::kMalformedHeader) << "[" << timestamp << "]";
  }
}

TEST(VerifyTest, SignatureHeaderIsBoundedInEntriesAndBytes) {
  const std::string valid = Request().signature;
  Request request;
  for (int i = 0; i < 63; ++i) request.signature += " v1,x";
  EXPECT_EQ(ReasonFor(request), "");
  request.signature += " v1,x";
  EXPECT_EQ(ReasonFor(request), reason::kMalformedHeader);

  // Checking an entry v1a costs much more.
  request.signature = valid;
  for (int i = 0; i < 8; ++i) request.signature += " v1a,x";
  EXPECT_EQ(ReasonFor(request), "");
  request.signature += " v1a,x";
  EXPECT_EQ(ReasonFor(request), reason::kMalformedHeader);

  request.signature = valid + std::string(4096 - valid.size(), ' ');
  EXPECT_EQ(ReasonFor(request), "");
  request.signature += ' ';
  EXPECT_EQ(ReasonFor(request), reason::kMalformedHeader);
}

TEST(VerifyTest, MismatchSaysWhetherThereWasAnythingToCompare) {
  Request request;
  request.signature = "v1a,abc v2,def";
  EXPECT_THAT(std::string(VerifyAt(kNow, request).status().message()), HasSubstr("no v1 entry"));
  request.signature = "v1,abc";
  EXPECT_THAT(std::string(VerifyAt(kNow, request).status().message()),
              HasSubstr("none of the v1 entries"));

  const Secret public_key = MakeSecret(kPublicKey);
  const auto message = [&request](const std::vector<Secret>& secrets) {
    return std::string(VerifyAt(kNow, request, secrets).status().message());
  };
  EXPECT_THAT(message({public_key}), HasSubstr("no v1a entry, and 1 of other kinds"));
  EXPECT_THAT(message({public_key, MakeSecret("k")}), HasSubstr("none of the v1 or v1a entries"));
  request.signature = "v1a,abc v1a,def";
  EXPECT_THAT(message({public_key}), HasSubstr("none of the v1a entries in webhook-signature (2)"));
  request.signature = "v2,abc";
  EXPECT_THAT(message({public_key, MakeSecret("k")}), HasSubstr("no v1 or v1a entry"));
}

TEST(VerifyTest, ErrorsHoldNeitherSecretNorSignature) {
  const std::string expected = Request().signature.substr(3);
  Request request;
  request.signature = absl::StrCat("v1,", std::string(44, 'A'));
  const std::string message = VerifyAt(kNow, request).status().ToString();
  EXPECT_THAT(message, Not(HasSubstr(expected)));
  EXPECT_THAT(message, Not(HasSubstr("AAAA")));
}

}  // namespace
}  // namespace hookgate
