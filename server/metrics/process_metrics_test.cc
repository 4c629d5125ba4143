#include "server/metrics/process_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

double ValueIn(const std::string& text, const std::string& name) {
  const size_t at = text.find(absl::StrCat("\n", name, " "));
  double value = -1;
  if (at == std::string::npos) return value;
  const size_t begin = at + name.size() + 2;
  EXPECT_TRUE(absl::SimpleAtod(text.substr(begin, text.find('\n', begin) - begin), &value));
  return value;
}

TEST(ProcessMetricsTest, SaysWhatTheProcessUses) {
  MetricRegistry metrics;
  AddProcessMetrics(absl::FromUnixMillis(1500), metrics);
  const std::string text = metrics.Write(MetricFormat::kText);
  EXPECT_GE(ValueIn(text, "process_cpu_seconds_total"), 0);
  EXPECT_GE(ValueIn(text, "process_open_fds"), 3);
  EXPECT_GE(ValueIn(text, "process_max_fds"), ValueIn(text, "process_open_fds"));
  EXPECT_GT(ValueIn(text, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(ValueIn(text, "process_virtual_memory_bytes"),
            ValueIn(text, "process_resident_memory_bytes"));
  EXPECT_EQ(ValueIn(text, "process_start_time_seconds"), 1.5);
}

}  // namespace
}  // namespace hookgate
