// How replicas come and go: a gateway that was alone becomes a cluster, a replica begins with a
// copy of another one's log, and the engine loses all that it had. On real processes and
// PostgreSQL.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/event_stream.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/http_client.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"
#include "tests/support/signed_webhook.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ClusterLifeTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
  }

  std::string ConfigOf(const std::string& replica) const {
    const std::string path = FreshTestFile(absl::StrCat(replica, ".textproto"));
    std::ofstream(path) << "cluster { name: 'hooks' replica: '" << replica
                        << "' postgresql { uri: '" << postgres_->UriOfAll() << "' } }\n";
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return absl::StrCat("--config=", path);
  }

  // Sends it until it is stored, as a sender does; its sequence, as in the 200's body.
  static std::string Store(const HookgatedProcess& gateway, const std::string& webhook_id) {
    SignedWebhook webhook;
    webhook.webhook_id = webhook_id;
    webhook.body = BatchFailedBody(absl::StrCat("batch_of_", webhook_id));
    webhook.more_fields = {{"Connection", "close"}};
    const absl::Time end = absl::Now() + absl::Seconds(60);
    std::string last = "no answer";
    while (absl::Now() < end) {
      const auto reply = Exchange(gateway.http(), webhook.Request());
      if (reply.has_value()) last = reply->body;
      if (reply.has_value() && reply->status == 200) break;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return last;
  }
  static size_t CountEvents(const HookgatedProcess& gateway) {
    EventStream stream(gateway.grpc(), "start_position: START_POSITION_EARLIEST");
    return stream.EventsUntilCaughtUp().size();
  }
  // What a start that must fail says.
  static std::string Refusal(const std::string& data_dir, std::vector<std::string> flags) {
    for (const char* const flag : {"--http_address=127.0.0.1:0", "--grpc_address=127.0.0.1:0",
                                   "--admin_address=127.0.0.1:0"}) {
      flags.push_back(flag);
    }
    flags.push_back(absl::StrCat("--data_dir=", data_dir));
    const ProgramOutcome outcome =
        RunProgram(kHookgated, flags, {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    return outcome.err;
  }
  // A backup of `from`, while it runs, put in place for another replica.
  static void Seed(const std::string& from, const std::string& to, const std::string& config,
                   const std::vector<std::string>& more = {}) {
    std::vector<std::string> flags = {config,
                                      absl::StrCat("--restore=", BackUpLog(from), "/events.db"),
                                      absl::StrCat("--data_dir=", to)};
    flags.insert(flags.end(), more.begin(), more.end());
    const ProgramOutcome outcome = RunProgram(kHookgated, flags);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("It is a replica of cluster hooks, up to record "),
                                   Not(HasSubstr("new epoch"))));
  }

  std::unique_ptr<PostgresCluster> postgres_;
  const std::string a_dir_ = FreshTestFolder();
  const std::string b_dir_ = FreshTestFolder();
};

TEST_F(ClusterLifeTest, AGatewayThatWasAloneBecomesACluster) {
  {
    const auto alone = HookgatedProcess::Start(a_dir_);
    for (int i = 1; i <= 5; ++i) Store(*alone, absl::StrCat("wh_", i));
  }
  const std::string a_config = ConfigOf("a");
  const std::string b_config = ConfigOf("b");
  EXPECT_THAT(Refusal(a_dir_, {a_config}), HasSubstr("start once with --found_cluster"));
  auto a = HookgatedProcess::Start(a_dir_, {a_config, "--found_cluster"});
  EXPECT_THAT(Store(*a, "wh_6"), HasSubstr("\"sequence\":\"6\""));
  EXPECT_THAT(Store(*a, "wh_2"), HasSubstr("\"sequence\":\"2\"")) << "a repeat";

  EXPECT_THAT(Refusal(b_dir_, {b_config}), HasSubstr("hookgate cluster reseed"));
  Seed(a_dir_, b_dir_, b_config);
  auto b = HookgatedProcess::Start(b_dir_, {b_config});
  EXPECT_THAT(Store(*a, "wh_7"), HasSubstr("\"sequence\":\"7\""));
  const ProgramOutcome both = RunProgram(kHookgate, {"cluster", "status", a->grpc(), b->grpc()});
  EXPECT_THAT(both.out, AllOf(HasSubstr("cluster hooks, epoch "), HasSubstr("leader"),
                              HasSubstr("follower"), HasSubstr("PostgreSQL at ")));

  // The founding one may go, and come back as it was started.
  a->Kill();
  EXPECT_THAT(Store(*b, "wh_8"), HasSubstr("\"sequence\":\"8\""));
  EXPECT_EQ(CountEvents(*b), 8u);
  a = HookgatedProcess::Start(a_dir_, {a_config, "--found_cluster"});
  b->Signal(SIGTERM);
  EXPECT_EQ(b->WaitForExit(), 0);
  EXPECT_THAT(Store(*a, "wh_9"), HasSubstr("\"sequence\":\"9\""));
  EXPECT_EQ(CountEvents(*a), 9u);
}

// Who was away for longer than the log is kept says so, and goes on with a copy of another one,
// which runs meanwhile; what a copy lacks is not thrown away in passing.
TEST_F(ClusterLifeTest, AReplicaIsReseededWithTheSnapshotOfAnother) {
  const std::string a_config = ConfigOf("a");
  const std::string b_config = ConfigOf("b");
  auto a = HookgatedProcess::Start(a_dir_, {a_config});
  // Before there is another one that could lead: without peers, only the leader stores.
  Store(*a, "wh_1");
  auto b = HookgatedProcess::Start(b_dir_, {b_config});
  EXPECT_TRUE(BecomesTrue([&b] { return CountEvents(*b) == 1; }));
  b->Signal(SIGTERM);
  EXPECT_EQ(b->WaitForExit(), 0);
  for (int i = 2; i <= 5; ++i) Store(*a, absl::StrCat("wh_", i));
  postgres_->Execute(
      0, "delete from hookgate_log_hooks where seq < (select max(seq) from hookgate_log_hooks)");
  b = HookgatedProcess::Start(b_dir_, {b_config});
  EXPECT_TRUE(BecomesTrue([&b] {
    return b->log().find("hookgate cluster reseed FILE DATA_DIR") != std::string::npos;
  })) << b->log();

  const std::string copy = FreshTestFile("copy.db");
  const auto hookgate = [](const std::vector<std::string>& arguments) {
    return RunProgram(kHookgate, arguments);
  };
  const ProgramOutcome snapshot = hookgate({"cluster", "snapshot", a_dir_, copy});
  ASSERT_EQ(snapshot.exit_code, 0) << snapshot.err;
  EXPECT_THAT(snapshot.out, HasSubstr("events up to 5"));
  EXPECT_EQ(hookgate({"cluster", "snapshot", a_dir_, copy}).exit_code, 1) << "it is there already";
  EXPECT_THAT(Store(*a, "wh_6"), HasSubstr("\"sequence\":\"6\""));

  const ProgramOutcome running = hookgate({"cluster", "reseed", copy, b_dir_});
  EXPECT_EQ(running.exit_code, 1);
  EXPECT_THAT(running.err, HasSubstr("is in use by another hookgated"));
  b->Signal(SIGTERM);
  EXPECT_EQ(b->WaitForExit(), 0);
  const ProgramOutcome reseeded = hookgate({"cluster", "reseed", copy, b_dir_});
  ASSERT_EQ(reseeded.exit_code, 0) << reseeded.err;
  EXPECT_THAT(reseeded.out, HasSubstr("It is a replica of cluster hooks, up to record "));
  b = HookgatedProcess::Start(b_dir_, {b_config});
  EXPECT_THAT(Store(*a, "wh_7"), HasSubstr("\"sequence\":\"7\""));
  a->Signal(SIGTERM);
  EXPECT_EQ(a->WaitForExit(), 0);
  EXPECT_THAT(Store(*b, "wh_8"), HasSubstr("\"sequence\":\"8\""));
  EXPECT_THAT(Store(*b, "wh_3"), HasSubstr("\"sequence\":\"3\"")) << "a repeat";
  EXPECT_EQ(CountEvents(*b), 8u);

  b->Signal(SIGTERM);
  EXPECT_EQ(b->WaitForExit(), 0);
  const ProgramOutcome older = hookgate({"cluster", "reseed", copy, b_dir_});
  EXPECT_EQ(older.exit_code, 1);
  EXPECT_THAT(older.err, AllOf(HasSubstr("ends at event 5"), HasSubstr("give --force")));
}

// A disk is put back, or somebody drops the table: what was answered is at every replica.
TEST_F(ClusterLifeTest, AClusterGoesOnWhereTheEngineLostItsLog) {
  const std::string a_config = ConfigOf("a");
  const std::string b_config = ConfigOf("b");
  auto a = HookgatedProcess::Start(a_dir_, {a_config});
  for (int i = 1; i <= 5; ++i) Store(*a, absl::StrCat("wh_", i));
  auto b = HookgatedProcess::Start(b_dir_, {b_config});
  a->Signal(SIGTERM);
  EXPECT_EQ(a->WaitForExit(), 0);
  EXPECT_THAT(Store(*b, "wh_6"), HasSubstr("\"sequence\":\"6\""));
  b->Signal(SIGTERM);
  EXPECT_EQ(b->WaitForExit(), 0);
  postgres_->Execute(0, "drop table hookgate_log_hooks, hookgate_identity_hooks");

  EXPECT_THAT(Refusal(b_dir_, {b_config}), HasSubstr("cluster hooks: "));
  // The one that is furthest founds it again; the other one takes a copy.
  b = HookgatedProcess::Start(b_dir_, {b_config, "--found_cluster"});
  EXPECT_THAT(Store(*b, "wh_7"), HasSubstr("\"sequence\":\"7\""));
  EXPECT_THAT(Store(*b, "wh_3"), HasSubstr("\"sequence\":\"3\"")) << "a repeat";
  EXPECT_THAT(Refusal(a_dir_, {a_config}), HasSubstr("cluster hooks: "));
  Seed(b_dir_, a_dir_, a_config);
  a = HookgatedProcess::Start(a_dir_, {a_config});
  b->Kill();
  EXPECT_THAT(Store(*a, "wh_8"), HasSubstr("\"sequence\":\"8\""));
  EXPECT_EQ(CountEvents(*a), 8u);
}

}  // namespace
}  // namespace hookgate
