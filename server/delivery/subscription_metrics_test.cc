#include "server/delivery/subscription_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Settled(const char* outcome, int64_t count) {
  return absl::StrCat("hookgate_subscription_settled_total{subscription=\"mail\",outcome=\"",
                      outcome, "\"} ", count, "\n");
}

// A rule that waits for the first dead letter saw nothing: before it, there was no series.
TEST(SubscriptionMetricsTest, EveryOutcomeIsThereAtZeroUntilTheSubscriptionIsGone) {
  MetricRegistry metrics;
  SubscriptionMetricsPool pool({}, metrics);
  auto mail = pool.Add("mail");
  const std::string scrape = metrics.Write(MetricFormat::kText);
  for (const char* outcome : {"acked", "nacked", "deadline_passed", "dead_lettered", "discarded"}) {
    EXPECT_THAT(scrape, HasSubstr(Settled(outcome, 0)));
  }
  EXPECT_THAT(scrape,
              HasSubstr("hookgate_subscription_lost_events_total{subscription=\"mail\"} 0\n"));
  mail.reset();
  EXPECT_THAT(metrics.Write(MetricFormat::kText), Not(HasSubstr("mail")));
}

TEST(SubscriptionMetricsTest, CountsWhatIsDurable) {
  MetricRegistry metrics;
  SubscriptionMetricsPool pool({}, metrics);
  const auto mail = pool.Add("mail");
  const absl::Time now = absl::FromUnixSeconds(1'000);
  mail->Count({.acked_us = {absl::ToUnixMicros(now - absl::Seconds(3)),
                            absl::ToUnixMicros(now - absl::Milliseconds(50)),
                            // The wall clock was set back since.
                            absl::ToUnixMicros(now + absl::Hours(1))},
               .nacked = 2,
               .deadline_passed = 3,
               .dead_lettered = 4,
               .discarded = 5,
               .lost = 6},
              now);
  const std::string scrape = metrics.Write(MetricFormat::kText);
  EXPECT_THAT(scrape, HasSubstr(Settled("acked", 3)));
  EXPECT_THAT(scrape, HasSubstr(Settled("nacked", 2)));
  EXPECT_THAT(scrape, HasSubstr(Settled("deadline_passed", 3)));
  EXPECT_THAT(scrape, HasSubstr(Settled("dead_lettered", 4)));
  EXPECT_THAT(scrape, HasSubstr(Settled("discarded", 5)));
  EXPECT_THAT(scrape, HasSubstr("lost_events_total{subscription=\"mail\"} 6\n"));
  EXPECT_THAT(scrape, HasSubstr("latency_seconds_bucket{subscription=\"mail\",le=\"0.01\"} 1\n"));
  EXPECT_THAT(scrape, HasSubstr("latency_seconds_bucket{subscription=\"mail\",le=\"0.1\"} 2\n"));
  EXPECT_THAT(scrape, HasSubstr("latency_seconds_bucket{subscription=\"mail\",le=\"5.0\"} 3\n"));
}

TEST(SubscriptionMetricsTest, WithoutHistogramsThereAreNone) {
  MetricRegistry metrics;
  SubscriptionMetricsPool pool({.histograms = false}, metrics);
  const auto mail = pool.Add("mail");
  mail->Count({.acked_us = {1}}, absl::FromUnixSeconds(1));
  const std::string scrape = metrics.Write(MetricFormat::kText);
  EXPECT_THAT(scrape, HasSubstr(Settled("acked", 1)));
  EXPECT_THAT(scrape, Not(HasSubstr("latency_seconds")));
}

// Whoever may create subscriptions could have made a scrape as large as they liked.
TEST(SubscriptionMetricsTest, NoMoreAreCountedThanMayBe) {
  MetricRegistry metrics;
  SubscriptionMetricsPool pool({.max_subscriptions = 2}, metrics);
  std::vector<std::shared_ptr<SubscriptionMetrics>> all = {pool.Add("a"), pool.Add("b")};
  EXPECT_EQ(pool.Add("c"), nullptr);
  EXPECT_EQ(pool.Add("d"), nullptr);
  all.pop_back();
  EXPECT_NE(pool.Add("e"), nullptr);
  EXPECT_THAT(metrics.Write(MetricFormat::kText), HasSubstr("subscription=\"a\""));
}

}  // namespace
}  // namespace hookgate
