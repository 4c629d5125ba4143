#include "server/metrics/metric_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kBounds[] = {1, 10};
constexpr MetricInfo kSent = {"sent_total", MetricType::kCounter, "What was sent."};
constexpr MetricInfo kOpen = {"open_streams", MetricType::kGauge, "What is open."};
constexpr MetricInfo kTook = {"took_seconds", MetricType::kHistogram, "How long it took.", kBounds};
constexpr MetricInfo kDepth = {"depth", MetricType::kGauge, "How much waits."};

TEST(MetricRegistryTest, SeriesAreThereAtZeroBeforeAnythingCounts) {
  MetricRegistry metrics;
  const auto sent = metrics.AddCounter(kSent, {{"to", "a"}});
  const auto also = metrics.AddCounter(kSent, {{"to", "b"}});
  const auto open = metrics.AddGauge(kOpen);
  const auto took = metrics.AddHistogram(kTook);
  EXPECT_EQ(metrics.Write(MetricFormat::kText),
            "# HELP open_streams What is open.\n# TYPE open_streams gauge\nopen_streams 0\n"
            "# HELP sent_total What was sent.\n# TYPE sent_total counter\n"
            "sent_total{to=\"a\"} 0\nsent_total{to=\"b\"} 0\n"
            "# HELP took_seconds How long it took.\n# TYPE took_seconds histogram\n"
            "took_seconds_bucket{le=\"1.0\"} 0\ntook_seconds_bucket{le=\"10.0\"} 0\n"
            "took_seconds_bucket{le=\"+Inf\"} 0\ntook_seconds_sum 0\ntook_seconds_count 0\n");
}

TEST(MetricRegistryTest, AScrapeHasWhatWasCounted) {
  MetricRegistry metrics;
  const auto sent = metrics.AddCounter(kSent);
  const auto open = metrics.AddGauge(kOpen);
  const auto took = metrics.AddHistogram(kTook);
  sent->Add();
  sent->Add(2);
  open->Add(5);
  open->Add(-2);
  took->Observe(absl::Seconds(5));
  const std::string text = metrics.Write(MetricFormat::kOpenMetrics);
  EXPECT_THAT(text, HasSubstr("# TYPE sent counter\nsent_total 3\n"));
  EXPECT_THAT(text, HasSubstr("open_streams 3\n"));
  EXPECT_THAT(text, HasSubstr("took_seconds_bucket{le=\"10.0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("took_seconds_sum 5\n"));
  EXPECT_THAT(text, testing::EndsWith("# EOF\n"));
}

TEST(MetricRegistryTest, ASeriesGoesWithWhoHeldIt) {
  MetricRegistry metrics;
  auto sent = metrics.AddCounter(kSent, {{"to", "a"}});
  sent->Add();
  sent.reset();
  // What the metric is stays, so that a list of them does not depend on what happened.
  EXPECT_EQ(metrics.Write(MetricFormat::kText),
            "# HELP sent_total What was sent.\n# TYPE sent_total counter\n");
}

// A subscription that is deleted may be held by its last stream when one of the same name is there:
// two series with the same labels make a scrape unreadable.
TEST(MetricRegistryTest, OfTwoSeriesWithTheSameLabelsTheNewerOneIsShown) {
  MetricRegistry metrics;
  auto before = metrics.AddCounter(kSent, {{"to", "a"}});
  before->Add(7);
  const auto after = metrics.AddCounter(kSent, {{"to", "a"}});
  after->Add();
  EXPECT_THAT(metrics.Write(MetricFormat::kText), HasSubstr("counter\nsent_total{to=\"a\"} 1\n"));
  before.reset();
  EXPECT_THAT(metrics.Write(MetricFormat::kText), HasSubstr("counter\nsent_total{to=\"a\"} 1\n"));
}

TEST(MetricRegistryTest, CollectorsAreAskedInEachScrape) {
  MetricRegistry metrics;
  int64_t depth = 1;
  metrics.AddCollector({&kDepth}, [&depth](MetricSamples& samples) {
    if (depth > 1) samples.Add(kDepth, {{"of", "a \"queue\""}}, depth);
    if (depth > 2) samples.Add(kDepth, {{"of", "b"}}, 0.5);
  });
  EXPECT_EQ(metrics.Write(MetricFormat::kText),
            "# HELP depth How much waits.\n# TYPE depth gauge\n");
  depth = 3;
  EXPECT_THAT(metrics.Write(MetricFormat::kText),
              HasSubstr("gauge\ndepth{of=\"a \\\"queue\\\"\"} 3\ndepth{of=\"b\"} 0.5\n"));
}

TEST(MetricRegistryTest, CountsAreExactWhileOthersScrapeAndAdd) {
  constexpr int kThreads = 4;
  constexpr int kTimes = 20'000;
  MetricRegistry metrics;
  const auto sent = metrics.AddCounter(kSent);
  const auto took = metrics.AddHistogram(kTook);
  std::atomic<bool> done = false;
  std::thread scraper([&] {
    while (!done) metrics.Write(MetricFormat::kText);
  });
  std::vector<std::thread> counters;
  for (int i = 0; i < kThreads; ++i) {
    counters.emplace_back([&, i] {
      for (int k = 0; k < kTimes; ++k) {
        sent->Add();
        took->Observe(0.5);
        if (k % 1000 == 0) metrics.AddGauge(kOpen, {{"of", absl::StrCat(i)}})->Set(k);
      }
    });
  }
  for (std::thread& thread : counters) thread.join();
  done = true;
  scraper.join();
  const std::string text = metrics.Write(MetricFormat::kText);
  EXPECT_THAT(text, HasSubstr(absl::StrCat("\nsent_total ", kThreads * kTimes, "\n")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("took_seconds_count ", kThreads * kTimes, "\n")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("took_seconds_sum ", kThreads * kTimes / 2, "\n")));
  EXPECT_THAT(text, Not(HasSubstr("open_streams{")));
}

}  // namespace
}  // namespace hookgate
