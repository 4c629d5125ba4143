#include "server/signature/pasted_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr char kBase64[] = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
constexpr char kSecret[] = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
constexpr char kKey[] = "secret-secret-secret-secret";

absl::StatusOr<PastedSecret> Read(absl::string_view text, bool raw = false) {
  return ReadPastedSecret("n", text, {.raw = raw, .how_to_ask_for_raw = "set raw: true"});
}

// The refusal, which never shows any of the secret.
std::string ErrorOf(absl::string_view text, bool raw = false) {
  const auto read = Read(text, raw);
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << text;
  std::string message(read.status().message());
  EXPECT_THAT(message, StartsWith("secret \"n\" ")) << text;
  EXPECT_THAT(message, Not(HasSubstr("c2Vj"))) << text;
  EXPECT_THAT(message, Not(HasSubstr(kKey))) << text;
  return message;
}

TEST(PastedSecretTest, SecretAsTheSenderShowsItIsTakenWithWhiteSpaceAround) {
  for (const std::string& text : {std::string(kSecret), absl::StrCat("\n  ", kSecret, "\r\n")}) {
    const auto read = Read(text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->secret.key(), kKey);
    EXPECT_EQ(read->secret.name(), "n");
    EXPECT_THAT(read->warnings, IsEmpty());
  }
  const auto public_key = Read("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=\n");
  ASSERT_TRUE(public_key.ok()) << public_key.status();
  EXPECT_NE(public_key->secret.public_key(), nullptr);
  EXPECT_THAT(public_key->warnings, IsEmpty());
}

// Each of these was once taken as raw text: the gateway started, its config was "right", and every
// webhook was answered 401.
TEST(PastedSecretTest, WhatIsNotASecretIsRefusedByWhatItIs) {
  const std::string secret = kSecret;
  const struct {
    std::string text;
    const char* says;
  } cases[] = {
      {"", "empty"},
      {" \n\t", "empty"},
      {"\"" + secret + "\"", "quotation marks"},
      {"'" + secret + "'", "quotation marks"},
      {"`" + secret + "`", "quotation marks"},
      {"\xe2\x80\x9c" + secret + "\xe2\x80\x9d", "quotation marks"},
      {"\"" + secret, "quotation mark at one end"},
      {secret + "'", "quotation mark at one end"},
      {"v1," + secret, "\"v1,\""},
      {"v1a,whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "\"v1,\""},
      {"v1,gUAg4R2hWouRZqRQG4uJypNS8YK885G838+EHb4nKBY=", "is a signature"},
      {"\xef\xbb\xbf" + secret, "byte order mark"},
      {std::string("\xff\xfew\0h\0s\0", 8), "UTF-16"},
      {std::string("w\0h\0s\0", 6), "UTF-16"},
      {std::string("\0w\0h\0s", 6), "UTF-16"},
      {"OPENAI_WEBHOOK_SECRET=" + secret, "NAME=VALUE"},
      {"secret=" + secret, "NAME=VALUE"},
      {"webhook-secret: " + secret, "NAME=VALUE"},
      {"OPENAI_WEBHOOK_SECRET=\"" + secret + "\"", ""},
      {"export OPENAI_WEBHOOK_SECRET=" + secret, "shell script"},
      {"Bearer " + secret, "Bearer"},
      {"authorization: Bearer " + secret, "NAME=VALUE"},
      {secret + "\n" + secret, "several lines"},
      {"# the secret\n" + secret, "several lines"},
      {secret + "\r\n# old", "several lines"},
      {secret + " # production", "other text"},
      {"whsec_c2Vj cmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "white space"},
      {"whsec_ " + std::string(kBase64), "white space"},
      {secret.substr(0, 20) + "\xe2\x80\x8b" + secret.substr(20), "cannot be seen"},
      {secret + "\xe2\x81\xa0", "cannot be seen"},
      {secret + std::string(1, '\0'), "cannot be seen"},
      {"\xc2\xa0" + secret, "no-break space"},
      {secret.substr(0, 20) + "\xff" + secret.substr(20), "not text"},
      {"whsec_", "nothing after whsec_"},
      {"whpk_", "nothing after whpk_"},
      {"whsec_" + secret, "twice"},
      {secret + secret, "second one behind it"},
      {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "pasted twice"},
      {std::string(40, '\0'), "zero bytes"},
      {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "placeholder"},
      {"whsec_AQIBAgECAQIBAgECAQIBAgECAQIBAgEC", "placeholder"},
      {"whsec_c2VjcmV0LXNlY3JldA", "padding"},
      {"whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV", "cut"},
      {"whsec_c2VjcmV0LXNlY3JldA==more", "after its end"},
      {"whsec_c2VjcmV0-XNlY3JldC1zZWNyZXQt_2VjcmV0", "base64 for URLs"},
      {"whsec_c2VjcmV0LXNlY3JldA%3D%3D", "%3D"},
      {"whsec_c2Vj!mV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "base64"},
      {"whsec_c2VjcmV0...", "cut or hidden"},
      {"whsec_****************", "cut or hidden"},
      {"WHSEC_" + std::string(kBase64), "small letters"},
      {"whsk_" + std::string(kBase64), "private key"},
      {"whpk_" + std::string(kBase64), "public key"},
      {"sk-proj-c2VjcmV0", "API key"},
      {"-----BEGIN PUBLIC KEY-----", "PEM"},
      {"${OPENAI_WEBHOOK_SECRET}", "placeholder"},
      {"<your secret>", "placeholder"},
      {"x", "only 1 byte"},
      {"whsec_YQ==", "only 1 byte"},
      {"whsec_MTIzNDU2Nw==", "only 7 bytes"},
      {kKey, "set raw: true"},
      {kBase64, "set raw: true"},
  };
  for (const auto& c : cases) EXPECT_THAT(ErrorOf(c.text), HasSubstr(c.says)) << c.text;
}

TEST(PastedSecretTest, RawTextIsTakenWhenItIsAskedFor) {
  for (const char* text : {kKey, kBase64, "ab:cd=ef ghij klmnopqrstuvw", "$ecret<secret>secret-sk-",
                           "9VYjM3s1dW1tUExR0FNUExFRVhBTQ=="}) {
    const auto read = Read(text, true);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->secret.key(), text);
  }
  EXPECT_EQ(Read(absl::StrCat(kKey, "\n"), true)->secret.key(), kKey);
  EXPECT_THAT(Read(kKey, true)->warnings, IsEmpty());
}

TEST(PastedSecretTest, RawTextIsStillNotWhatWasPastedWrongly) {
  const std::string key = kKey;
  for (const std::string& text :
       {std::string(), "\"" + key + "\"", "\xef\xbb\xbf" + key, key + "\n" + key, "Bearer " + key,
        "export SECRET=" + key, "SECRET=" + key, "v1," + std::string(kSecret), std::string(kSecret),
        key + "\xe2\x80\x8b", std::string("x"), std::string("seven77")}) {
    ErrorOf(text, true);
  }
}

TEST(PastedSecretTest, ShortKeysAreWarnedOf) {
  for (const auto& read : {Read("whsec_c2VjcmV0LXNlY3JldA=="), Read("secret-secret", true)}) {
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(read->warnings.size(), 1u);
    EXPECT_THAT(read->warnings[0], HasSubstr("has only 13 bytes"));
    EXPECT_THAT(read->warnings[0], HasSubstr("at least 24"));
    EXPECT_THAT(read->warnings[0], Not(HasSubstr("secret-")));
  }
  EXPECT_THAT(Read("two words of twenty-four", true)->warnings,
              testing::ElementsAre(HasSubstr("white space inside")));
}

}  // namespace
}  // namespace hookgate
