#include "server/eventlog/storage_watch.h"

#include <gtest/gtest.h>

#include <memory>

#include "common/clock.h"
#include "server/metrics/metric_registry.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

// What a scrape says of the disk was asked of the disk, so that a stuck one kept the scrape.
TEST(StorageWatchTest, SaysWhatItSawLast) {
  const std::string folder = FreshTestFolder();
  MetricRegistry metrics;
  EventLogMetrics event_log_metrics(metrics, SystemClock());
  auto log = *SqliteEventLog::Open({.data_dir = folder, .reserved_wal_bytes = 0}, nullptr, nullptr,
                                   &event_log_metrics);
  PutIntoQuarantine(*log, {.source = "openai", .webhook_id = "wh_1"});
  PutIntoQuarantine(*log, {.source = "openai", .webhook_id = "wh_2"});
  PutIntoQuarantine(*log, {.source = "other", .webhook_id = "wh_1"});
  const StorageWatch watch(*log, folder, event_log_metrics);
  ASSERT_TRUE(Eventually("both are counted", [&] { return watch.use().quarantined.size() == 2; }));
  const StorageUse use = watch.use();
  EXPECT_EQ(use.quarantined.at("openai"), 2);
  EXPECT_EQ(use.quarantined.at("other"), 1);
  EXPECT_GT(use.used_bytes.value_or(0), 0);
  EXPECT_GT(use.free_bytes.value_or(0), 0);
  EXPECT_GT(use.wal_bytes.value_or(0), 0);
  // The next look sees what has changed.
  EXPECT_TRUE(Discard(*log, 3).ok());
  EXPECT_TRUE(Eventually("one is left", [&] { return watch.use().quarantined.size() == 1; }));
}

}  // namespace
}  // namespace hookgate
