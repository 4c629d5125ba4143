// What an operator who rotates a secret is told at each step.

#include "server/status/secret_use.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

absl::Time At(int hours) { return absl::FromUnixSeconds(1'750'000'000) + absl::Hours(hours); }

TEST(SecretUseTest, OnlySecretStaysWhateverItDid) {
  EXPECT_EQ(JudgeSecret({}, {.first_configured = At(0)}, 1).use, SecretUse::kOnlySecret);
  const SourceStatus source = {.webhooks = 3, .last_webhook = At(500)};
  EXPECT_EQ(JudgeSecret(source, {.first_configured = At(0)}, 1).use, SecretUse::kOnlySecret);
}

TEST(SecretUseTest, WithoutWebhooksNobodyKnows) {
  EXPECT_EQ(JudgeSecret({}, {.first_configured = At(0)}, 2).use, SecretUse::kNoWebhooks);
  // Webhooks came before it was there.
  const SourceStatus source = {.webhooks = 9, .last_webhook = At(1)};
  const SecretStatus added = {.first_configured = At(2), .webhooks_then = 9};
  EXPECT_EQ(JudgeSecret(source, added, 2).use, SecretUse::kNoWebhooks);
}

TEST(SecretUseTest, OneThatVerifiesNothingIsNotSaidToBeNeedless) {
  // The next one, to which the sender does not switch before something is done.
  const SourceStatus source = {.webhooks = 20, .last_webhook = At(1000)};
  const SecretStatus added = {.first_configured = At(2), .webhooks_then = 9};
  const SecretVerdict verdict = JudgeSecret(source, added, 2);
  EXPECT_EQ(verdict.use, SecretUse::kNeverVerified);
  EXPECT_EQ(verdict.webhooks_since, 11);
}

TEST(SecretUseTest, OldOneCanGoOnceWebhooksDidWithoutItForAsLongAsSendersRepeatOne) {
  const SecretStatus old_secret = {.first_configured = At(0),
                                   .last_verified = At(10),
                                   .last_needed = At(10),
                                   .webhooks_then = 5};
  EXPECT_EQ(JudgeSecret({.webhooks = 5, .last_webhook = At(10)}, old_secret, 2).use,
            SecretUse::kNeeded);
  const SecretVerdict wait = JudgeSecret({.webhooks = 6, .last_webhook = At(81)}, old_secret, 2);
  EXPECT_EQ(wait.use, SecretUse::kWait);
  EXPECT_EQ(wait.webhooks_since, 1);
  EXPECT_EQ(wait.wait_until, absl::optional<absl::Time>(At(82)));
  const SecretVerdict go = JudgeSecret({.webhooks = 7, .last_webhook = At(82)}, old_secret, 2);
  EXPECT_EQ(go.use, SecretUse::kNotNeeded);
  EXPECT_EQ(go.webhooks_since, 2);
  EXPECT_EQ(go.wait_until, absl::nullopt);
}

// A sender that signs with both has been waited for, for as long as it does so.
TEST(SecretUseTest, OneThatOnlyVerifiesBesideANewerOneCanGo) {
  const SecretStatus beside = {.first_configured = At(0), .last_verified = At(90)};
  EXPECT_EQ(JudgeSecret({.webhooks = 6, .last_webhook = At(90)}, beside, 2).use,
            SecretUse::kNotNeeded);
}

TEST(SecretUseTest, AClockThatWasAheadHoldsNothingUp) {
  const SecretStatus ahead = {.first_configured = At(100'000), .last_verified = At(2)};
  EXPECT_EQ(JudgeSecret({.webhooks = 6, .last_webhook = At(90)}, ahead, 2).use,
            SecretUse::kNotNeeded);
  // Counts of two threads are not read at one moment.
  const SecretStatus racing = {
      .first_configured = At(0), .last_verified = At(2), .last_needed = At(2), .webhooks_then = 7};
  EXPECT_EQ(JudgeSecret({.webhooks = 6, .last_webhook = At(2)}, racing, 2).webhooks_since, 0);
}

}  // namespace
}  // namespace hookgate
