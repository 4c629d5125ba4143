#include "server/ingest/source_registry.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/signed_webhook.h"

namespace hookgate {
namespace {

WebhookSource MakeSource(const std::string& name,
                         const std::vector<std::pair<std::string, std::string>>& secrets = {
                             {"current", kTestSecret}}) {
  WebhookSource source;
  source.name = name;
  for (const auto& [secret_name, text] : secrets) {
    source.secrets.push_back(*Secret::Parse(secret_name, text));
  }
  return source;
}

TEST(SourceRegistryTest, FindsWhatIsConfigured) {
  FakeClock clock;
  SourceRegistry registry({MakeSource("b"), MakeSource("a")}, clock);
  EXPECT_EQ(registry.Find("a")->config().name, "a");
  EXPECT_EQ(registry.Find("c"), nullptr);
  ASSERT_EQ(registry.All().size(), 2u);
  EXPECT_EQ(registry.All()[0]->config().name, "a");
}

TEST(SourceRegistryTest, ReplacedSourcesStayWithWhoeverHoldsThem) {
  FakeClock clock;
  SourceRegistry registry({MakeSource("a")}, clock);
  const auto held = registry.Find("a");
  registry.Replace({MakeSource("b")});
  EXPECT_EQ(registry.Find("a"), nullptr);
  EXPECT_EQ(held->config().name, "a");
}

TEST(SourceRegistryTest, WhenASecretVerifiedIsRememberedAcrossReplacement) {
  FakeClock clock;
  SourceRegistry registry(
      {MakeSource("a", {{"old", kTestSecret}, {"changed", kTestSecret}, {"idle", kTestSecret}})},
      clock);
  const absl::Time time = absl::FromUnixSeconds(7);
  registry.Find("a")->NoteVerified(0, time);
  registry.Find("a")->NoteVerified(1, time);
  registry.Replace({MakeSource("a", {{"new", kTestSecret},
                                     {"changed", kOtherSecret},
                                     {"idle", kTestSecret},
                                     {"old", kTestSecret}})});
  const auto source = registry.Find("a");
  EXPECT_EQ(source->last_verified(0), absl::nullopt);
  EXPECT_EQ(source->last_verified(1), absl::nullopt);  // The same name, another key.
  EXPECT_EQ(source->last_verified(2), absl::nullopt);
  EXPECT_EQ(source->last_verified(3), absl::optional<absl::Time>(time));
}

TEST(SourceRegistryTest, RateIsTheConfiguredOne) {
  FakeClock clock;
  WebhookSource limited = MakeSource("limited");
  limited.rate_limit = RateLimit{.per_second = 1, .burst = 1};
  SourceRegistry registry({limited, MakeSource("unlimited")}, clock);
  EXPECT_EQ(registry.Find("limited")->TakeFromRate(), absl::ZeroDuration());
  EXPECT_EQ(registry.Find("limited")->TakeFromRate(), absl::Seconds(1));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(registry.Find("unlimited")->TakeFromRate(), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace hookgate
