#include "server/ingest/source_registry.h"

#include <gtest/gtest.h>

#include "server/metrics/metric_registry.h"
#include "server/status/status_book.h"
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
  StatusBook book(clock);
  MetricRegistry metrics;
  SourceRegistry registry({MakeSource("b"), MakeSource("a")}, book, metrics, clock);
  EXPECT_EQ(registry.Find("a")->config().name, "a");
  EXPECT_EQ(registry.Find("c"), nullptr);
  ASSERT_EQ(registry.All().size(), 2u);
  EXPECT_EQ(registry.All()[0]->config().name, "a");
}

TEST(SourceRegistryTest, ReplacedSourcesStayWithWhoeverHoldsThem) {
  FakeClock clock;
  StatusBook book(clock);
  MetricRegistry metrics;
  SourceRegistry registry({MakeSource("a")}, book, metrics, clock);
  const auto held = registry.Find("a");
  registry.Replace({MakeSource("b")});
  EXPECT_EQ(registry.Find("a"), nullptr);
  EXPECT_EQ(held->config().name, "a");
}

TEST(SourceRegistryTest, WhenASecretVerifiedIsRememberedAcrossReplacement) {
  FakeClock clock;
  StatusBook book(clock);
  MetricRegistry metrics;
  SourceRegistry registry(
      {MakeSource("a", {{"old", kTestSecret}, {"changed", kTestSecret}, {"idle", kTestSecret}})},
      book, metrics, clock);
  const absl::Time time = absl::FromUnixSeconds(7);
  const std::shared_ptr<Source> before = registry.Find("a");
  before->NoteWebhook({0}, time - absl::Seconds(1));
  before->NoteWebhook({0, 1}, time);
  registry.Replace({MakeSource("a", {{"new", kTestSecret},
                                     {"changed", kOtherSecret},
                                     {"idle", kTestSecret},
                                     {"old", kTestSecret}})});
  const auto source = registry.Find("a");
  const auto last_verified = [&](size_t i) { return source->records().secret(i).last_verified; };
  EXPECT_EQ(last_verified(0), absl::nullopt);
  EXPECT_EQ(last_verified(1), absl::nullopt);  // The same name, another key.
  EXPECT_EQ(last_verified(2), absl::nullopt);
  EXPECT_EQ(last_verified(3), absl::optional<absl::Time>(time));
  // A webhook that was under way when the config was replaced.
  before->NoteWebhook({0}, time + absl::Seconds(1));
  EXPECT_EQ(last_verified(3), absl::optional<absl::Time>(time + absl::Seconds(1)));
  EXPECT_EQ(source->records().source().webhooks, 3);
  EXPECT_EQ(source->records().source().last_webhook,
            absl::optional<absl::Time>(time + absl::Seconds(1)));
}

TEST(SourceRegistryTest, RateIsTheConfiguredOne) {
  FakeClock clock;
  StatusBook book(clock);
  MetricRegistry metrics;
  WebhookSource limited = MakeSource("limited");
  limited.rate_limit = RateLimit{.per_second = 1, .burst = 1};
  SourceRegistry registry({limited, MakeSource("unlimited")}, book, metrics, clock);
  EXPECT_EQ(registry.Find("limited")->TakeFromRate(), absl::ZeroDuration());
  EXPECT_EQ(registry.Find("limited")->TakeFromRate(), absl::Seconds(1));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(registry.Find("unlimited")->TakeFromRate(), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace hookgate
