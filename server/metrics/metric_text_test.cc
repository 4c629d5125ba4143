#include "server/metrics/metric_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace hookgate {
namespace {

constexpr MetricInfo kCounter = {"sent_total", MetricType::kCounter, "What was sent."};
constexpr MetricInfo kBuild = {"build_info", MetricType::kInfo, "Which build it is."};

TEST(MetricTextTest, OpenMetricsIsWhatAsksForIt) {
  // As Prometheus 2.42 and 3 ask.
  EXPECT_EQ(FormatFor("application/openmetrics-text;version=1.0.0,application/openmetrics-text;"
                      "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
            MetricFormat::kOpenMetrics);
  EXPECT_EQ(FormatFor("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                      "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                      "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"),
            MetricFormat::kOpenMetrics);
  EXPECT_EQ(FormatFor("application/openmetrics-text"), MetricFormat::kOpenMetrics);
  EXPECT_EQ(FormatFor(" Application/OpenMetrics-Text ; Version=1.0.0 ; q=0.5 "),
            MetricFormat::kOpenMetrics);
  // A parameter may be quoted: it was taken for another version.
  EXPECT_EQ(FormatFor("application/openmetrics-text; version=\"1.0.0\"; charset=\"utf-8\""),
            MetricFormat::kOpenMetrics);
  EXPECT_EQ(FormatFor("application/openmetrics-text;version=\"0.0.1\""), MetricFormat::kText);
}

TEST(MetricTextTest, WhatDoesNotAskForOpenMetricsIsText) {
  for (const char* accept :
       {"", "*/*", "text/plain;version=0.0.4", "text/html,application/xhtml+xml,*/*;q=0.8",
        "application/openmetrics-text;version=2.0.0,text/plain;q=0.5",
        "application/openmetrics-text;q=0", "application/openmetrics-text;q=nonsense",
        "text/plain,application/openmetrics-text;q=0.9", ";;;,,,=;q=", "application/json"}) {
    EXPECT_EQ(FormatFor(accept), MetricFormat::kText) << accept;
  }
}

TEST(MetricTextTest, CountersAndInfosHaveTheirSuffixInTheFamilyOfTextAlone) {
  std::string text;
  AppendHead(kCounter, MetricFormat::kText, text);
  AppendHead(kBuild, MetricFormat::kText, text);
  AppendEnd(MetricFormat::kText, text);
  EXPECT_EQ(text,
            "# HELP sent_total What was sent.\n# TYPE sent_total counter\n"
            "# HELP build_info Which build it is.\n# TYPE build_info gauge\n");
  text.clear();
  AppendHead(kCounter, MetricFormat::kOpenMetrics, text);
  AppendHead(kBuild, MetricFormat::kOpenMetrics, text);
  AppendEnd(MetricFormat::kOpenMetrics, text);
  EXPECT_EQ(text,
            "# HELP sent What was sent.\n# TYPE sent counter\n"
            "# HELP build Which build it is.\n# TYPE build info\n# EOF\n");
}

// A secret's name is any text: one with a quotation mark or a line feed made a scrape unreadable.
TEST(MetricTextTest, LabelsHoldAnyText) {
  EXPECT_EQ(LabelText({}), "");
  EXPECT_EQ(LabelText({{"source", "openai"}, {"code", ""}}), "source=\"openai\",code=\"\"");
  EXPECT_EQ(LabelText({{"a", "say \"hi\""}}), "a=\"say \\\"hi\\\"\"");
  EXPECT_EQ(LabelText({{"a", "two\nlines\xff"}}), "a=\"two\\\\nlines\\\\xff\"");
}

// Two secrets whose names print alike had one series between them, twice.
TEST(MetricTextTest, ValuesThatPrintAlikeHaveLabelsOfTheirOwn) {
  EXPECT_EQ(LabelText({{"a", "x\\n"}}), R"(a="x\\\\n")");
  EXPECT_EQ(LabelText({{"a", "x\n"}}), R"(a="x\\n")");
  const std::vector<std::string> alike = {"\xff",   "\\xff",  "\\\\xff",
                                          "\\\xff", "\u202e", "\\u202e"};
  std::set<std::string> labels;
  for (const std::string& value : alike) labels.insert(LabelText({{"a", value}}));
  EXPECT_EQ(labels.size(), alike.size());
}

TEST(MetricTextTest, NumbersAreAsShortAsTheyCanBe) {
  const auto line = [](double value) {
    std::string text;
    AppendSample("a", "", value, text);
    return text;
  };
  EXPECT_EQ(line(0), "a 0\n");
  EXPECT_EQ(line(0.1), "a 0.1\n");
  EXPECT_EQ(line(1764217651.25), "a 1764217651.25\n");
  EXPECT_EQ(line(std::numeric_limits<double>::infinity()), "a +Inf\n");
  EXPECT_EQ(line(-std::numeric_limits<double>::infinity()), "a -Inf\n");
  EXPECT_EQ(line(std::nan("")), "a NaN\n");
  std::string text;
  AppendSample("a", "b=\"c\"", int64_t{1} << 62, text);
  EXPECT_EQ(text, "a{b=\"c\"} 4611686018427387904\n");
}

TEST(MetricTextTest, BucketsOfAHistogramAddUp) {
  static constexpr double kBounds[] = {0.5, 1, 259200};
  Histogram histogram(kBounds);
  for (const double value : {0.25, 0.5, 1.0, 2.0, 300000.0}) histogram.Observe(value);
  std::string text;
  AppendHistogram("took_seconds", "rpc=\"Pull\"", histogram, text);
  EXPECT_EQ(text,
            "took_seconds_bucket{rpc=\"Pull\",le=\"0.5\"} 2\n"
            "took_seconds_bucket{rpc=\"Pull\",le=\"1.0\"} 3\n"
            "took_seconds_bucket{rpc=\"Pull\",le=\"259200.0\"} 4\n"
            "took_seconds_bucket{rpc=\"Pull\",le=\"+Inf\"} 5\n"
            "took_seconds_sum{rpc=\"Pull\"} 300003.75\n"
            "took_seconds_count{rpc=\"Pull\"} 5\n");
  text.clear();
  AppendHistogram("took_seconds", "", Histogram({}), text);
  EXPECT_EQ(text, "took_seconds_bucket{le=\"+Inf\"} 0\ntook_seconds_sum 0\ntook_seconds_count 0\n");
}

}  // namespace
}  // namespace hookgate
