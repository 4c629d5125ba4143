#include "server/replication/jetstream_stream.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "server/base/status.h"
#include "server/replication/jetstream_options.h"
#include "server/replication/libnats.h"
#include "server/replication/replicated_log.h"

namespace hookgate {
namespace {

constexpr int64_t kMaxRecordBytes = 1 << 20;

// A stream as a server describes it, which is as it has to be.
struct Described {
  Described() {
    config.Description = "hookgate log, genesis 0123456789abcdef";
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = js_LimitsPolicy;
    config.Discard = js_DiscardNew;
    config.MaxMsgs = -1;
    config.MaxMsgsPerSubject = -1;
    config.MaxMsgSize = -1;
    config.DenyDelete = true;
    config.Replicas = 3;
    info.Config = &config;
  }

  const char* subject = "hookgate.main.log";
  jsStreamConfig config = {};
  jsStreamInfo info = {};
};

std::string SettingOf(const absl::Status& status) {
  EXPECT_EQ(ReasonOf(status), log_reason::kUnsafeSetting) << status;
  return MetadataOf(status)["setting"];
}

JetStreamStream Stream(const JetStreamLogOptions& options = {}) {
  return JetStreamStream(options, "main", kMaxRecordBytes);
}

JetStreamLogOptions Trusting(bool JetStreamLogOptions::*what) {
  JetStreamLogOptions options;
  options.*what = true;
  return options;
}

// The setting that is refused after `change`, "" for none.
std::string Refused(absl::FunctionRef<void(jsStreamConfig&)> change,
                    const JetStreamLogOptions& options = {}) {
  Described described;
  change(described.config);
  const absl::Status problem = Stream(options).Check(described.info).problem;
  return problem.ok() ? "" : SettingOf(problem);
}

TEST(JetStreamStreamTest, AStreamAsItIsMadeHereIsTaken) {
  EXPECT_EQ(Refused([](jsStreamConfig&) {}), "");
  EXPECT_EQ(Stream().name(), "HOOKGATE_main");
  EXPECT_EQ(Stream().subject(), "hookgate.main.log");
  EXPECT_EQ(Stream().GenesisOf(Described().info), "0123456789abcdef");
}

// Whoever may change the stream can have it forget, replace or refuse records without an error.
TEST(JetStreamStreamTest, EachUnsafeSettingIsRefusedByItsName) {
  static jsStreamSource other = {};
  static jsStreamSource* others[] = {&other};
  static const char* two[] = {"hookgate.main.log", "other"};
  static const char* another = "other";
  struct Case {
    std::string setting;
    void (*change)(jsStreamConfig&);
  };
  const std::vector<Case> cases = {
      {"subjects", [](jsStreamConfig& config) { config.Subjects = &another; }},
      {"subjects",
       [](jsStreamConfig& config) {
         config.Subjects = two;
         config.SubjectsLen = 2;
       }},
      {"subjects", [](jsStreamConfig& config) { config.SubjectsLen = 0; }},
      {"storage", [](jsStreamConfig& config) { config.Storage = js_MemoryStorage; }},
      {"retention", [](jsStreamConfig& config) { config.Retention = js_WorkQueuePolicy; }},
      {"retention", [](jsStreamConfig& config) { config.Retention = js_InterestPolicy; }},
      {"discard", [](jsStreamConfig& config) { config.Discard = js_DiscardOld; }},
      {"max_age", [](jsStreamConfig& config) { config.MaxAge = 1; }},
      {"max_msgs", [](jsStreamConfig& config) { config.MaxMsgs = 1'000'000; }},
      {"max_msgs_per_subject", [](jsStreamConfig& config) { config.MaxMsgsPerSubject = 1; }},
      {"max_msg_size", [](jsStreamConfig& config) { config.MaxMsgSize = kMaxRecordBytes; }},
      {"deny_delete", [](jsStreamConfig& config) { config.DenyDelete = false; }},
      {"deny_purge", [](jsStreamConfig& config) { config.DenyPurge = true; }},
      {"allow_rollup_hdrs", [](jsStreamConfig& config) { config.AllowRollup = true; }},
      {"no_ack", [](jsStreamConfig& config) { config.NoAck = true; }},
      {"sealed", [](jsStreamConfig& config) { config.Sealed = true; }},
      {"mirror", [](jsStreamConfig& config) { config.Mirror = &other; }},
      {"sources",
       [](jsStreamConfig& config) {
         config.Sources = others;
         config.SourcesLen = 1;
       }},
      {"num_replicas", [](jsStreamConfig& config) { config.Replicas = 1; }},
      {"num_replicas", [](jsStreamConfig& config) { config.Replicas = 2; }},
      {"description", [](jsStreamConfig& config) { config.Description = nullptr; }},
      {"description", [](jsStreamConfig& config) { config.Description = "somebody's"; }},
      {"description",
       [](jsStreamConfig& config) { config.Description = "hookgate log, genesis "; }},
  };
  for (const Case& each : cases) {
    EXPECT_EQ(Refused(each.change), each.setting);
  }
}

TEST(JetStreamStreamTest, WhatIsLargeEnoughOrDeclaredSafeIsTaken) {
  EXPECT_EQ(Refused([](jsStreamConfig& config) { config.MaxMsgSize = 2 * kMaxRecordBytes; }), "");
  EXPECT_EQ(Refused([](jsStreamConfig& config) { config.Replicas = 5; }), "");
  EXPECT_EQ(Refused([](jsStreamConfig& config) { config.Replicas = 1; },
                    Trusting(&JetStreamLogOptions::trust_storage)),
            "");
  // That the storage replicates says nothing of other settings.
  EXPECT_NE(Refused([](jsStreamConfig& config) { config.Storage = js_MemoryStorage; },
                    Trusting(&JetStreamLogOptions::trust_storage)),
            "");
}

TEST(JetStreamStreamTest, PeersAreTheLeaderAndTheOtherCopies) {
  Described described;
  jsPeerInfo second = {};
  second.Name = const_cast<char*>("n2");
  jsPeerInfo unnamed = {};
  jsPeerInfo* replicas[] = {&second, &unnamed};
  jsClusterInfo cluster = {};
  cluster.Leader = const_cast<char*>("n1");
  cluster.Replicas = replicas;
  cluster.ReplicasLen = 2;
  described.info.Cluster = &cluster;
  const StreamSettings settings = Stream().Check(described.info);
  EXPECT_TRUE(settings.problem.ok()) << settings.problem;
  EXPECT_EQ(settings.peers, (std::set<std::string>{"n1", "n2"}));
  EXPECT_TRUE(Stream().Check(Described().info).peers.empty());
}

TEST(JetStreamStreamTest, WhetherServersSyncMustBeSeenOrTaken) {
  const SteadyTime now = SteadyDeadline(absl::ZeroDuration());
  EXPECT_EQ(SettingOf(Stream().CheckSync({"n1"}, now)), "sync_interval");
  EXPECT_TRUE(Stream(Trusting(&JetStreamLogOptions::trust_fsync)).CheckSync({"n1"}, now).ok());
}

// Of five servers three were named, one of them down: the two that nobody asked about were taken on
// trust, since most of those that were asked synced.
TEST(JetStreamStreamTest, AServerThatIsDownExcusesOneCopyAndNoMore) {
  SyncSeen seen;
  seen.synced = {"n1", "n2"};
  EXPECT_TRUE(CheckSyncSeen(seen, {"n1", "n2"}).ok());
  EXPECT_EQ(SettingOf(CheckSyncSeen(seen, {"n1", "n2", "n3"})), "sync_interval");
  seen.unseen = 1;
  seen.last_error = absl::UnavailableError("down");
  EXPECT_TRUE(CheckSyncSeen(seen, {"n1", "n2", "n3"}).ok());
  EXPECT_EQ(SettingOf(CheckSyncSeen(seen, {"n1", "n2", "n3", "n4", "n5"})), "sync_interval");
  // As many that are not seen as are.
  seen.unseen = 2;
  EXPECT_EQ(CheckSyncSeen(seen, {"n1", "n2"}), seen.last_error);
}

}  // namespace
}  // namespace hookgate
