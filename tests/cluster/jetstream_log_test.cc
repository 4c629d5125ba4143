// NATS JetStream as the log of a cluster: the suite that every engine passes, and what is only true
// of JetStream, on a real cluster of three servers.
#include "server/replication/jetstream_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/status.h"
#include "server/replication/replicated_log_conformance.h"
#include "tests/cluster/nats_cluster.h"

namespace hookgate {
namespace {

constexpr int kAttempts = 100;

// One for all tests of the process. Null if there is none here.
NatsCluster* Shared() {
  static NatsCluster* const cluster = [] {
    // Ended, and its folder removed, with the process.
    std::atexit([] { delete Shared(); });
    return NatsCluster::Start().release();
  }();
  return cluster;
}

std::unique_ptr<ReplicatedLog> OpenOn(const JetStreamLogOptions& jetstream,
                                      const ReplicatedLogOptions& options) {
  absl::StatusOr<std::unique_ptr<ReplicatedLog>> log = OpenJetStreamLog(options, jetstream);
  EXPECT_TRUE(log.ok()) << log.status();
  return log.ok() ? std::move(*log) : nullptr;
}

JetStreamLogOptions OptionsFor(const NatsCluster& cluster) {
  return {.servers = cluster.Urls(), .monitoring_urls = cluster.MonitoringUrls()};
}

CompareAppendResult Append(ReplicatedLog& log, LogIndex expected, const std::string& bytes) {
  CompareAppendResult result;
  for (int i = 0; i < kAttempts; ++i) {
    result = log.CompareAppend(expected, bytes, absl::Seconds(5));
    if (result.outcome != CompareAppendOutcome::kUnknown &&
        ReasonOf(result.status) != log_reason::kEngineUnavailable) {
      break;
    }
  }
  return result;
}

void Fill(ReplicatedLog& log, LogIndex last) {
  for (LogIndex index = 1; index <= last; ++index) {
    const CompareAppendResult result = Append(log, index - 1, absl::StrCat("record ", index));
    ASSERT_EQ(result.outcome, CompareAppendOutcome::kAppended) << result.status;
  }
}

class JetStreamConformanceEngine final : public ConformanceEngine {
 public:
  explicit JetStreamConformanceEngine(NatsCluster& cluster) : cluster_(cluster) {}

  std::unique_ptr<ReplicatedLog> Open(const ReplicatedLogOptions& options) override {
    return OpenOn(OptionsFor(cluster_), options);
  }
  // A server that ends, and comes back: a third of the connections, and now and then the leader.
  void BreakConnections() override {
    cluster_.Kill(next_);
    EXPECT_TRUE(cluster_.StartAgain(next_));
    next_ = (next_ + 1) % cluster_.servers();
  }
  void Freeze() override {
    for (int i = 0; i < cluster_.servers(); ++i) cluster_.Freeze(i);
  }
  void Thaw() override {
    for (int i = 0; i < cluster_.servers(); ++i) cluster_.Thaw(i);
  }

 private:
  NatsCluster& cluster_;
  int next_ = 0;
};

ConformanceEngine* MakeJetStreamEngine() {
  static JetStreamConformanceEngine* const engine =
      Shared() == nullptr ? nullptr : new JetStreamConformanceEngine(*Shared());
  return engine;
}

INSTANTIATE_TEST_SUITE_P(JetStream, ReplicatedLogConformanceTest,
                         testing::Values(ConformanceEngineMaker{&MakeJetStreamEngine}));

class JetStreamLogTest : public testing::Test {
 protected:
  void SetUp() override {
    cluster_ = Shared();
    if (cluster_ == nullptr) GTEST_SKIP() << "nats-server is not installed";
    static int last = 0;
    options_.cluster = absl::StrCat("j", ++last);
    jetstream_ = OptionsFor(*cluster_);
  }

  std::unique_ptr<ReplicatedLog> Open() { return OpenOn(jetstream_, options_); }
  std::string RefusedSetting() {
    const absl::Status status = Open()->Last().status();
    return ReasonOf(status) == log_reason::kUnsafeSetting ? MetadataOf(status)["setting"]
                                                          : std::string(status.message());
  }

  NatsCluster* cluster_ = nullptr;
  ReplicatedLogOptions options_;
  JetStreamLogOptions jetstream_;
};

TEST_F(JetStreamLogTest, WhatCannotBeSeenToSyncIsRefusedUnlessItIsTrusted) {
  jetstream_.monitoring_urls.clear();
  EXPECT_EQ(RefusedSetting(), "sync_interval");
  // Two of three servers are seen; the third holds a copy as well.
  jetstream_.monitoring_urls = {cluster_->MonitoringUrl(0), cluster_->MonitoringUrl(1)};
  EXPECT_EQ(RefusedSetting(), "sync_interval");
  jetstream_.monitoring_urls.clear();
  jetstream_.trust_fsync = true;
  const auto trusting = Open();
  EXPECT_TRUE(trusting->Last().ok());
  EXPECT_THAT(trusting->State().trusted, testing::ElementsAre("trust_fsync"));
}

TEST_F(JetStreamLogTest, TooFewCopiesAndTooSmallMessagesAreRefusedByName) {
  jetstream_.replicas = 1;
  EXPECT_EQ(RefusedSetting(), "num_replicas");
  jetstream_.trust_storage = true;
  EXPECT_EQ(RefusedSetting(), "");
  jetstream_.trust_storage = false;
  options_.max_record_bytes = 16 << 20;
  EXPECT_EQ(RefusedSetting(), "max_payload");
}

TEST_F(JetStreamLogTest, OptionsAreChecked) {
  const auto field_of = [this](const JetStreamLogOptions& jetstream) {
    return FieldOf(OpenJetStreamLog(options_, jetstream).status());
  };
  EXPECT_EQ(field_of({}), "servers");
  EXPECT_EQ(field_of({.servers = {"127.0.0.1:4222"}}), "servers");
  EXPECT_EQ(field_of({.servers = {"nats://h:1"}, .monitoring_urls = {"h:1"}}), "monitoring_urls");
  EXPECT_EQ(field_of({.servers = {"nats://h:1"}, .replicas = 2}), "replicas");
  EXPECT_EQ(field_of({.servers = {"nats://h:1"}, .cert_file = "/c"}), "key_file");
  const absl::Status secret =
      OpenJetStreamLog(options_, {.servers = {"nat://u:geheim@h"}}).status();
  EXPECT_FALSE(absl::StrContains(secret.message(), "geheim")) << secret;
}

// libnats would wait for the time-out, and then go on with the same server.
TEST_F(JetStreamLogTest, ServerThatHangsIsLeftForAnother) {
  options_.timeout = absl::Seconds(3);
  const auto log = Open();
  Fill(*log, 2);
  const std::string server = log->State().server;
  int hanging = -1;
  for (int i = 0; i < cluster_->servers(); ++i) {
    if (absl::StrContains(server, cluster_->Url(i))) hanging = i;
  }
  ASSERT_NE(hanging, -1) << server;
  cluster_->Freeze(hanging);
  EXPECT_EQ(Append(*log, 2, "record 3").outcome, CompareAppendOutcome::kAppended);
  EXPECT_NE(log->State().server, server);
  LogIndex next = 1;
  EXPECT_TRUE(BecomesTrue([&] {
    const auto records = log->Read(next, {});
    if (records.ok()) next += static_cast<LogIndex>(records->size());
    return next == 4;
  })) << next;
  cluster_->Thaw(hanging);
}

TEST_F(JetStreamLogTest, OneServerIsEnoughToLose) {
  const auto log = Open();
  Fill(*log, 3);
  for (int server = 0; server < cluster_->servers(); ++server) {
    cluster_->Kill(server);
    const LogIndex last = 3 + server;
    EXPECT_EQ(Append(*log, last, absl::StrCat("record ", last + 1)).outcome,
              CompareAppendOutcome::kAppended);
    ASSERT_TRUE(cluster_->StartAgain(server));
  }
  const auto reader = Open();
  ASSERT_TRUE(BecomesTrue([&] { return reader->Last().ok(); }));
  LogIndex next = 1;
  ASSERT_TRUE(BecomesTrue([&] {
    const auto records = reader->Read(next, {});
    for (size_t i = 0; records.ok() && i < records->size(); ++i, ++next) {
      EXPECT_EQ(records->at(i).bytes, absl::StrCat("record ", next));
    }
    return next == 7;
  })) << next;
}

// Two empty disks of three elect an empty leader, and JetStream says nothing of it: it would give
// the same places a second time.
TEST(JetStreamLossTest, WipedMajorityIsRefusedAsBehind) {
  const auto cluster = NatsCluster::Start();
  if (cluster == nullptr) GTEST_SKIP() << "nats-server is not installed";
  const ReplicatedLogOptions options = {.cluster = "wiped"};
  {
    const auto log = OpenOn(OptionsFor(*cluster), options);
    Fill(*log, 20);
  }
  const auto log = OpenOn(OptionsFor(*cluster), options);
  for (int server = 0; server < 3; ++server) cluster->Kill(server);
  cluster->WipeDisk(0);
  cluster->WipeDisk(1);
  // The two begin again before the third is back.
  ASSERT_TRUE(cluster->StartAgain(0));
  ASSERT_TRUE(cluster->StartAgain(1));
  ASSERT_TRUE(cluster->StartAgain(2));
  CompareAppendResult result;
  for (int i = 0; i < kAttempts; ++i) {
    result = log->CompareAppend(20, "record 21", absl::Seconds(5));
    if (result.outcome != CompareAppendOutcome::kUnknown &&
        ReasonOf(result.status) != log_reason::kEngineUnavailable) {
      break;
    }
  }
  // If the third was elected, nothing is lost; else it is refused, by whichever name: the log is
  // shorter, or it was made again.
  if (result.outcome != CompareAppendOutcome::kAppended) {
    EXPECT_EQ(result.outcome, CompareAppendOutcome::kRefused);
    EXPECT_THAT(
        ReasonOf(result.status),
        testing::AnyOf(log_reason::kLogBehind, log_reason::kLogReplaced, log_reason::kLogMissing))
        << result.status;
    EXPECT_NE(log->CompareAppend(0, "another first", absl::Seconds(5)).outcome,
              CompareAppendOutcome::kLost);
  }
}

TEST(JetStreamSyncTest, ServersThatDoNotSyncAlwaysAreRefused) {
  const auto cluster = NatsCluster::Start({.servers = 1, .sync_interval = "10s"});
  if (cluster == nullptr) GTEST_SKIP() << "nats-server is not installed";
  JetStreamLogOptions jetstream = OptionsFor(*cluster);
  jetstream.replicas = 1;
  jetstream.trust_storage = true;
  const ReplicatedLogOptions options = {.cluster = "lazy"};
  const absl::Status refused = OpenOn(jetstream, options)->Last().status();
  EXPECT_EQ(MetadataOf(refused)["setting"], "sync_interval") << refused;
  // Nothing was made there.
  jetstream.trust_fsync = true;
  ReplicatedLogOptions existing = options;
  existing.create = false;
  EXPECT_EQ(ReasonOf(OpenOn(jetstream, existing)->Last().status()), log_reason::kLogMissing);
  const auto log = OpenOn(jetstream, options);
  EXPECT_EQ(Append(*log, 0, "a").outcome, CompareAppendOutcome::kAppended);
}

}  // namespace
}  // namespace hookgate
