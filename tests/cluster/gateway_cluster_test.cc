// P1 to P4 where a machine dies: three hookgated on PostgreSQL with a synchronous standby. While
// senders send and a subscriber reads at each replica, one is killed, stopped, stands still or loses
// its disk. What was answered 200 is on all of them afterwards, once, at one sequence.
//
//   CLUSTER_ROUNDS  how many of the random rounds; default 4
//   CLUSTER_SEED    repeats a run's decisions; the seed of each run is printed

#include "tests/cluster/gateway_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "tests/cluster/outside_view.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/event_stream.h"
#include "tests/support/hookgated_process.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kSenders = 3;
constexpr absl::Duration kLongEnough = absl::Seconds(60);

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// The sequence in a 200's body; 0: none.
int64_t SequenceIn(const std::string& body) {
  const std::string kBefore = "\"sequence\":\"";
  const size_t at = body.find(kBefore);
  int64_t sequence = 0;
  if (at == std::string::npos) return 0;
  const std::string rest = body.substr(at + kBefore.size());
  return absl::SimpleAtoi(rest.substr(0, rest.find('"')), &sequence) ? sequence : 0;
}

// Senders that send, each as a real one does: again until it is answered 200, wherever that may be.
// Each run of them notes what it was answered.
class Senders {
 public:
  Senders(const GatewayCluster& cluster, OutsideView& view, int round) : cluster_(cluster) {
    for (int i = 0; i < kSenders; ++i) {
      threads_.emplace_back(
          [this, &view, prefix = absl::StrCat("wh_", round, "_", i, "_")] { Run(view, prefix); });
    }
  }
  ~Senders() { Stop(); }

  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  // Waits for so many more answers; false if they do not come.
  bool AwaitAnswers(int more) {
    const int wanted = answers_ + more;
    const absl::Time end = absl::Now() + kLongEnough;
    while (answers_ < wanted && absl::Now() < end) absl::SleepFor(absl::Milliseconds(5));
    return answers_ >= wanted;
  }
  // The longest time that no 200 came to anybody.
  absl::Duration longest_gap() {
    absl::MutexLock lock(&mu_);
    return longest_gap_;
  }

 private:
  void Run(OutsideView& view, const std::string& prefix) {
    int target = 0;
    for (int i = 1; !stopping_; ++i) {
      const std::string id = absl::StrCat(prefix, i);
      while (!stopping_) {
        const auto reply = cluster_.TryPost(target, id);
        if (reply.has_value() && reply->status == 200) {
          absl::MutexLock lock(&mu_);
          view.Answered(id, SequenceIn(reply->body));
          NoteAnswer();
          break;
        }
        target = (target + 1) % GatewayCluster::kReplicas;
        absl::SleepFor(absl::Milliseconds(10));
      }
    }
  }
  void NoteAnswer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const absl::Time now = absl::Now();
    if (answers_ > 0) longest_gap_ = std::max(longest_gap_, now - last_answer_);
    last_answer_ = now;
    ++answers_;
  }

  const GatewayCluster& cluster_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> answers_ = 0;
  absl::Mutex mu_;
  absl::Time last_answer_ ABSL_GUARDED_BY(mu_);
  absl::Duration longest_gap_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

class GatewayClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    cluster_ = std::make_unique<GatewayCluster>(
        absl::StrCat("postgresql { uri: \"", postgres_->UriOfAll(), "\" }"));
  }

  // All that a subscriber at `replica` gets who has seen nothing yet.
  void ReadAll(int replica, OutsideView& view) {
    const std::string who = absl::StrCat("at ", replica);
    EventStream stream(cluster_->process(replica).grpc(),
                       "start_position: START_POSITION_EARLIEST");
    for (const v1::Event& event : stream.EventsUntilCaughtUp()) {
      EXPECT_EQ(event.durability(), v1::DURABILITY_QUORUM);
      view.Got(who, event.sequence(), event.webhook_id());
    }
    EXPECT_THAT(view.MissingFrom(who), IsEmpty()) << who;
  }

  // Once nobody sends: the same on all, and all of it.
  void CheckAll() {
    ASSERT_TRUE(cluster_->AwaitAllApplied());
    OutsideView view = view_;
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) ReadAll(i, view);
    EXPECT_THAT(view.broken(), IsEmpty());
  }

  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<GatewayCluster> cluster_;
  OutsideView view_;
};

TEST_F(GatewayClusterTest, OneLeadsAndAllHoldWhatItStored) {
  cluster_->StartAll();
  const int leader = cluster_->AwaitLeader();
  ASSERT_NE(leader, -1);
  for (int i = 1; i <= 20; ++i) {
    const std::string id = absl::StrCat("wh_", i);
    const auto reply = cluster_->Post(leader, id);
    ASSERT_TRUE(reply.has_value());
    ASSERT_EQ(reply->status, 200) << reply->body;
    view_.Answered(id, SequenceIn(reply->body));
  }
  EXPECT_EQ(view_.newest(), 20);
  CheckAll();
  for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
    if (i == leader) continue;
    const auto refused = cluster_->Post(i, "wh_new");
    ASSERT_TRUE(refused.has_value());
    EXPECT_EQ(refused->status, 503);
    EXPECT_EQ(refused->field("retry-after"), "2");
    EXPECT_THAT(refused->body, HasSubstr("no_leader"));
    EXPECT_FALSE(cluster_->Leads(i));
  }
}

TEST_F(GatewayClusterTest, NothingIsLostWhenTheLeaderIsKilled) {
  cluster_->StartAll();
  ASSERT_NE(cluster_->AwaitLeader(), -1);
  for (int round = 0; round < 3; ++round) {
    Senders senders(*cluster_, view_, round);
    ASSERT_TRUE(senders.AwaitAnswers(30));
    const int leader = cluster_->AwaitLeader();
    ASSERT_NE(leader, -1);
    cluster_->Kill(leader);
    EXPECT_NE(cluster_->AwaitLeader(leader), -1);
    ASSERT_TRUE(senders.AwaitAnswers(30));
    senders.Stop();
    std::cout << "round " << round << ": " << view_.answered() << " webhooks answered in all, "
              << "longest time without an answer " << senders.longest_gap() << std::endl;
    cluster_->Start(leader);
    CheckAll();
  }
}

// With a graceful shutdown nobody waits until the leader has been silent for long enough.
TEST_F(GatewayClusterTest, AStoppedLeaderIsFollowedAtOnce) {
  cluster_->StartAll();
  const int leader = cluster_->AwaitLeader();
  ASSERT_NE(leader, -1);
  Senders senders(*cluster_, view_, 0);
  ASSERT_TRUE(senders.AwaitAnswers(30));
  EXPECT_EQ(cluster_->Stop(leader), 0);
  ASSERT_TRUE(senders.AwaitAnswers(30));
  senders.Stop();
  cluster_->Start(leader);
  CheckAll();
}

// A leader that stands still for longer than the others wait comes back as one that has lost.
TEST_F(GatewayClusterTest, ALeaderThatStoodStillStoresNothingMore) {
  cluster_->StartAll();
  const int leader = cluster_->AwaitLeader();
  ASSERT_NE(leader, -1);
  Senders senders(*cluster_, view_, 0);
  ASSERT_TRUE(senders.AwaitAnswers(30));
  cluster_->process(leader).Signal(SIGSTOP);
  const int next = cluster_->AwaitLeader(leader);
  EXPECT_NE(next, -1);
  cluster_->process(leader).Signal(SIGCONT);
  ASSERT_TRUE(senders.AwaitAnswers(60));
  senders.Stop();
  CheckAll();
}

TEST_F(GatewayClusterTest, AReplicaThatLostItsDiskGetsAllOfItAgain) {
  cluster_->StartAll();
  const int leader = cluster_->AwaitLeader();
  ASSERT_NE(leader, -1);
  Senders senders(*cluster_, view_, 0);
  ASSERT_TRUE(senders.AwaitAnswers(60));
  for (const int replica : {(leader + 1) % 3, leader}) {
    cluster_->Kill(replica);
    cluster_->Wipe(replica);
    cluster_->Start(replica);
    ASSERT_TRUE(senders.AwaitAnswers(30));
  }
  senders.Stop();
  CheckAll();
}

TEST_F(GatewayClusterTest, AnEngineThatIsKilledCostsTimeAndNoWebhook) {
  cluster_->StartAll();
  ASSERT_NE(cluster_->AwaitLeader(), -1);
  Senders senders(*cluster_, view_, 0);
  ASSERT_TRUE(senders.AwaitAnswers(30));
  postgres_->Kill(0);
  ASSERT_TRUE(postgres_->StartAgain(0));
  ASSERT_TRUE(senders.AwaitAnswers(30));
  // Without its standby nothing is durable enough: no answer, until it is back.
  postgres_->Kill(1);
  ASSERT_TRUE(postgres_->StartAgain(1));
  ASSERT_TRUE(senders.AwaitAnswers(30));
  senders.Stop();
  CheckAll();
}

// Two of these at random, in one round after the other.
TEST_F(GatewayClusterTest, RandomFaultsLoseNothing) {
  const uint64_t seed = FromEnvironment("CLUSTER_SEED", std::random_device()());
  const uint64_t rounds = FromEnvironment("CLUSTER_ROUNDS", 4);
  std::cout << "CLUSTER_SEED=" << seed << std::endl;
  std::mt19937_64 random(seed);
  cluster_->StartAll();
  for (uint64_t round = 0; round < rounds; ++round) {
    ASSERT_NE(cluster_->AwaitLeader(), -1);
    Senders senders(*cluster_, view_, static_cast<int>(round));
    ASSERT_TRUE(senders.AwaitAnswers(20));
    const int replica = static_cast<int>(random() % 3);
    const int other = (replica + 1 + static_cast<int>(random() % 2)) % 3;
    const uint64_t fault = random() % 5;
    const int server = static_cast<int>(random() % 2);
    std::cout << "round " << round << ": fault " << fault << " of replica " << replica << ", "
              << other << std::endl;
    switch (fault) {
      case 0:
        cluster_->Kill(replica);
        break;
      case 1:
        EXPECT_EQ(cluster_->Stop(replica), 0);
        break;
      case 2:
        cluster_->process(replica).Signal(SIGSTOP);
        break;
      case 3:
        cluster_->Kill(replica);
        cluster_->Wipe(replica);
        break;
      default:
        postgres_->Kill(server);
        break;
    }
    const bool engine_is_down = fault > 3;
    if (!engine_is_down) {
      ASSERT_TRUE(senders.AwaitAnswers(20));
    }
    cluster_->Kill(other);
    if (fault == 2) cluster_->process(replica).Signal(SIGCONT);
    if (engine_is_down) {
      ASSERT_TRUE(postgres_->StartAgain(server));
    }
    for (int i = 0; i < GatewayCluster::kReplicas; ++i) {
      if (!cluster_->runs(i)) cluster_->Start(i);
    }
    ASSERT_TRUE(senders.AwaitAnswers(20));
    senders.Stop();
    CheckAll();
    std::cout << "  " << view_.answered() << " webhooks answered in all, longest time without an "
              << "answer " << senders.longest_gap() << std::endl;
  }
}

}  // namespace
}  // namespace hookgate
