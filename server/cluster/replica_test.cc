// Three replicas with real event logs on one replicated log in memory, in one process: what they
// promise when one is killed, stands still, is cut off, loses answers or its disk.
#include "server/cluster/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "server/base/executor.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/delivery/head_watch.h"
#include "server/delivery/read_queue.h"
#include "server/delivery/subscription_registry.h"
#include "server/delivery/subscription_settings.h"
#include "server/delivery/tail.h"
#include "server/eventlog/replicated_tables.h"
#include "server/replication/in_memory_log.h"
#include "server/replication/record.h"
#include "server/replication/term_begins.h"
#include "server/store/database.h"
#include "tests/support/await_outcome.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using Outcome = AppendResult::Outcome;
using Role = ReplicaState::Role;

constexpr char kCluster[] = "hooks";
constexpr int kReplicas = 3;
// Nothing here takes so long, on however busy a machine.
constexpr absl::Duration kLongEnough = absl::Seconds(60);

// Quicker than in earnest, and slow enough for a busy machine.
ReplicaState::Timing QuickTiming() {
  return {.heartbeat = absl::Milliseconds(30),
          .idle = absl::Milliseconds(100),
          .silence = absl::Milliseconds(500),
          .spread = absl::Milliseconds(250),
          .retry = absl::Milliseconds(10)};
}

std::unique_ptr<StoredEvent> NewEvent(const std::string& webhook_id) {
  auto event = std::make_unique<StoredEvent>();
  event->source = "openai";
  event->webhook_id = webhook_id;
  event->type = "batch.failed";
  event->subject = absl::StrCat("batch_of_", webhook_id);
  event->failure = true;
  event->receive_time = absl::FromUnixSeconds(1'750'000'000);
  event->envelope = absl::StrCat("envelope of ", webhook_id);
  event->raw_body = absl::StrCat("{\"id\": \"", webhook_id, "\"}");
  return event;
}

// All of a table, as text.
std::string Dump(const std::string& folder, const std::string& table) {
  auto database = *Database::Open(absl::StrCat(folder, "/events.db"), Database::Mode::kReadOnly);
  auto columns = *database->Prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid");
  columns.BindText(1, table);
  std::vector<std::string> quoted;
  std::vector<std::string> names;
  while (*columns.Step()) {
    names.emplace_back(columns.ColumnText(0));
    quoted.push_back(absl::StrCat("quote(", names.back(), ")"));
  }
  auto rows =
      *database->Prepare(absl::StrCat("SELECT ", absl::StrJoin(quoted, " || ',' || "), " FROM ",
                                      table, " ORDER BY ", absl::StrJoin(names, ", ")));
  std::string dump;
  while (*rows.Step()) absl::StrAppend(&dump, table, ": ", rows.ColumnText(0), "\n");
  return dump;
}

// The indexes of the records that hold new events.
std::vector<LogIndex> RecordsWithEvents(const InMemoryEngine& engine) {
  std::vector<LogIndex> indexes;
  for (const LogRecord& found : engine.Records(kCluster)) {
    replication::v1::Record record;
    EXPECT_TRUE(ParseRecord(found.bytes, record).ok());
    const bool has_events =
        std::any_of(record.entries().begin(), record.entries().end(), [](const auto& entry) {
          return entry.rows().table() == "events" && entry.rows().kind() == 1;
        });
    if (has_events) indexes.push_back(found.index);
  }
  return indexes;
}

class Cluster;

// One replica, as a process would have it.
class Node final : public ReplicaPeers, public LeadershipListener, public CommitListener {
 public:
  Node(Cluster& cluster, std::string name, std::string folder)
      : cluster_(cluster), name_(std::move(name)), folder_(std::move(folder)) {}
  ~Node() override { Kill(); }

  static absl::Status AnotherLeads() {
    return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kNoLeader, "another one leads");
  }

  absl::Status Start();
  // Ends at once, and tells nobody.
  void Kill() {
    if (replica == nullptr) return;
    replica->Stop();
    registry.reset();
    log.reset();
    replica.reset();
    engine.reset();
  }
  bool runs() const { return replica != nullptr; }
  const std::string& folder() const { return folder_; }
  const std::string& name() const { return name_; }

  friend bool operator==(const Node& a, const Node& b) { return &a == &b; }

  // ReplicaPeers: to all others that can be reached.
  void Send(const Heartbeat& heartbeat) override;
  std::vector<PeerTail> Tails(absl::Duration at_most) override;
  absl::Status OnLead() override {
    if (on_lead) on_lead();
    if (loads_subscriptions) RETURN_IF_ERROR(registry->Resume());
    leads = true;
    return absl::OkStatus();
  }
  void OnFollow() override {
    leads = false;
    registry->Suspend(AnotherLeads());
  }
  // In order and without a hole, as Tail wants them.
  void OnCommit(absl::Span<const StoredEventPtr> events) override {
    for (const StoredEventPtr& event : events) {
      EXPECT_EQ(event->sequence, head + 1) << name_;
      head = event->sequence;
    }
    tail->OnCommit(events);
  }

  std::unique_ptr<InMemoryLog> engine;
  std::unique_ptr<Replica> replica;
  HeadWatch watch{SystemClock()};
  std::unique_ptr<Tail> tail;
  std::unique_ptr<SqliteEventLog> log;
  Executor executor{1};
  ReadQueue reads{1, 8};
  std::unique_ptr<SubscriptionRegistry> registry;
  std::function<void()> on_lead;  // may be null
  bool loads_subscriptions = true;
  bool founds = false;  // the cluster, with what its folder holds
  std::atomic<bool> leads = false;
  std::atomic<bool> is_isolated = false;  // hears nobody, and is heard by nobody
  std::atomic<Sequence> head = 0;

 private:
  Cluster& cluster_;
  const std::string name_;
  const std::string folder_;
};

class Cluster {
 public:
  explicit Cluster(const ReplicaState::Timing& timing = QuickTiming()) : timing(timing) {
    for (const char* const name : {"a", "b", "c"}) {
      nodes_.push_back(std::make_unique<Node>(*this, name, FreshTestFolder()));
    }
  }
  ~Cluster() {
    for (auto& node : nodes_) Kill(*node);
  }

  void StartAll() {
    for (auto& node : nodes_) Start(*node);
  }
  void Start(Node& node) {
    const absl::Status status = node.Start();
    ASSERT_TRUE(status.ok()) << status;
    absl::MutexLock lock(&mu_);
    hearing_.insert(&node);
  }
  void Kill(Node& node) {
    {
      absl::MutexLock lock(&mu_);
      hearing_.erase(&node);
      heard_.erase(&node);
    }
    node.Kill();
  }

  Node& node(int i) { return *nodes_[static_cast<size_t>(i)]; }

  void Tell(const Node& from, const Heartbeat& heartbeat) {
    absl::MutexLock lock(&mu_);
    for (Node* const node : hearing_) {
      if (node == &from || node->is_isolated || from.is_isolated) continue;
      node->replica->Hear(heartbeat);
      heard_[node][from.name()] = {from.name(), heartbeat.applied, heartbeat.applied_term};
      const RecordTail tail = node->replica->tail();
      heard_[&from][node->name()] = {node->name(), tail.index, tail.term};
    }
    news_.SignalAll();
  }
  // What `node` has heard since it was started.
  std::vector<PeerTail> Heard(const Node& node) {
    absl::MutexLock lock(&mu_);
    std::vector<PeerTail> tails;
    for (const auto& [name, tail] : heard_[&node]) tails.push_back(tail);
    return tails;
  }

  // Whether `condition` holds before long. It is looked at again and again.
  bool Await(absl::FunctionRef<bool()> condition) {
    const absl::Duration end = SystemClock().MonotonicNow() + kLongEnough;
    while (SystemClock().MonotonicNow() < end) {
      if (condition()) return true;
      absl::MutexLock lock(&mu_);
      news_.WaitWithTimeout(&mu_, absl::Milliseconds(5));
    }
    return condition();
  }

  // The one that leads and has told so; null if none does before long.
  Node* AwaitLeader(const Node* other_than = nullptr) {
    Node* leader = nullptr;
    Await([&] {
      leader = nullptr;
      for (auto& node : nodes_) {
        if (node.get() == other_than || !node->runs() || !node->leads) continue;
        if (node->replica->Status().serving) leader = node.get();
      }
      return leader != nullptr;
    });
    return leader;
  }

  // All that run have applied all that is in the log.
  bool AwaitAllApplied() {
    return Await([&] {
      const std::vector<LogRecord> records = engine.Records(kCluster);
      const LogIndex last = records.empty() ? 0 : records.back().index;
      return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
        return !node->runs() || node->replica->Status().applied == last;
      });
    });
  }

  // What is shared is the same everywhere, and is what followed from the log.
  void ExpectAllSame() {
    ASSERT_TRUE(AwaitAllApplied());
    for (const std::string& table : ReplicatedTables()) {
      for (size_t i = 1; i < nodes_.size(); ++i) {
        EXPECT_EQ(Dump(nodes_[0]->folder(), table), Dump(nodes_[i]->folder(), table)) << table;
      }
    }
    for (auto& node : nodes_) {
      if (!node->runs()) continue;
      EXPECT_EQ(node->log->Position().head, nodes_[0]->log->Position().head);
      EXPECT_EQ(node->head, node->log->Position().head) << "all of it was told";
    }
  }

  absl::StatusOr<AppendResult> Append(Node& node, const std::string& webhook_id) {
    return AwaitOutcome<absl::StatusOr<AppendResult>>(
        [&](auto done) { node.log->Append(NewEvent(webhook_id), std::move(done)); });
  }
  // As a sender does: again until it is answered, at whoever leads.
  Sequence Store(const std::string& webhook_id, const Node* other_than = nullptr) {
    absl::StatusOr<AppendResult> result;
    const bool stored = Await([&] {
      Node* const leader = AwaitLeader(other_than);
      if (leader == nullptr) return false;
      result = Append(*leader, webhook_id);
      return result.ok();
    });
    EXPECT_TRUE(stored) << result.status();
    return stored ? result->sequence : 0;
  }

  const ReplicaState::Timing timing;
  std::string heir;  // that a leader which leaves names
  InMemoryEngine engine;

 private:
  std::vector<std::unique_ptr<Node>> nodes_;
  absl::Mutex mu_;
  MonotonicCondVar news_;
  std::set<Node*> hearing_ ABSL_GUARDED_BY(mu_);
  std::map<const Node*, std::map<std::string, PeerTail>> heard_ ABSL_GUARDED_BY(mu_);
};

absl::Status Node::Start() {
  engine = std::make_unique<InMemoryLog>(
      cluster_.engine,
      ReplicatedLogOptions{.cluster = kCluster, .timeout = absl::Milliseconds(200)});
  replica = std::make_unique<Replica>(ReplicaConfig{.cluster = kCluster,
                                                    .name = name_,
                                                    .timing = cluster_.timing,
                                                    .append_timeout = absl::Milliseconds(200)},
                                      *engine, SystemClock(), this);
  tail = std::make_unique<Tail>(Tail::Limits(), watch);
  ReplicaOptions options = replica->LogOptions(founds);
  auto opened = SqliteEventLog::Open({.data_dir = folder_, .reserved_wal_bytes = 0}, this, nullptr,
                                     nullptr, &options);
  if (!opened.ok()) return opened.status();
  log = *std::move(opened);
  head = log->Position().head;
  tail->StartAfter(head);
  registry = SubscriptionRegistry::OpenSuspended(
      {*log, *log, *tail, watch, executor, reads, SystemClock()}, AnotherLeads());
  leads = false;
  replica->Start(*log, this);
  return absl::OkStatus();
}

void Node::Send(const Heartbeat& heartbeat) {
  Heartbeat sent = heartbeat;
  if (sent.leaving) sent.heir = cluster_.heir;
  cluster_.Tell(*this, sent);
}

// They answer at once.
std::vector<PeerTail> Node::Tails(absl::Duration) { return cluster_.Heard(*this); }

TEST(ReplicaTest, WhatTheLeaderStoresIsOnEveryReplica) {
  Cluster cluster;
  cluster.StartAll();
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  for (int i = 1; i <= 40; ++i) EXPECT_EQ(cluster.Store(absl::StrCat("wh_", i)), i);
  EXPECT_EQ(cluster.Store("wh_7"), 7) << "a repeat";

  cluster.ExpectAllSame();
  for (int i = 0; i < kReplicas; ++i) {
    Node& node = cluster.node(i);
    EXPECT_EQ(node.log->epoch(), leader->log->epoch());
    const auto found = node.log->Find("openai", "wh_12");
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ((*found)->sequence, 12);
    EXPECT_EQ(node.log->history().sequences.MarkAt(12), leader->log->history().mark)
        << "a cursor means the same everywhere";
    const auto by_subject = node.log->FindByText("batch_of_wh_30", {"openai"}, 10,
                                                 [](const std::string&) { return true; });
    ASSERT_TRUE(by_subject.ok()) << by_subject.status();
    EXPECT_EQ(by_subject->events.size(), 1u);
    if (&node == leader) continue;
    const auto refused = cluster.Append(node, "wh_new");
    EXPECT_EQ(ReasonOf(refused.status()), reason::kNoLeader) << refused.status();
    EXPECT_TRUE(node.log->Health().ok()) << "a follower's disk has nothing wrong";
  }
}

TEST(ReplicaTest, AnotherOneLeadsWhenTheLeaderDiesAndTheOldOneComesBack) {
  Cluster cluster;
  cluster.StartAll();
  std::map<std::string, Sequence> answered;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i) {
      const std::string id = absl::StrCat("wh_", round, "_", i);
      answered[id] = cluster.Store(id);
    }
    Node* const leader = cluster.AwaitLeader();
    ASSERT_NE(leader, nullptr);
    cluster.Kill(*leader);
    Node* const next = cluster.AwaitLeader();
    ASSERT_NE(next, nullptr);
    EXPECT_NE(next, leader);
    for (const auto& [id, sequence] : answered) EXPECT_EQ(cluster.Store(id), sequence) << id;
    cluster.Start(*leader);
  }
  EXPECT_EQ(answered.size(), 30u);
  cluster.ExpectAllSame();
}

// With a graceful end nobody waits for a silence to be long enough.
TEST(ReplicaTest, AnotherOneLeadsAtOnceWhenTheLeaderLeaves) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  leader->replica->Leave();
  EXPECT_EQ(ReasonOf(cluster.Append(*leader, "wh_2").status()), reason::kNoLeader);
  Node* const next = cluster.AwaitLeader(leader);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(cluster.Store("wh_2", leader), 2);
  EXPECT_TRUE(cluster.Await([&] { return !leader->leads; }));
}

// Who is to lead is named, so that no two try at once. All that has to be waited for here is told:
// a heartbeat comes only each 30 s.
TEST(ReplicaTest, TheHeirLeadsAndTellsTheOthersAtOnce) {
  ReplicaState::Timing timing = QuickTiming();
  timing.heartbeat = absl::Seconds(30);
  Cluster cluster(timing);
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(cluster.AwaitAllApplied());
  for (int i = 0; i < kReplicas; ++i) {
    if (&cluster.node(i) != leader) cluster.heir = cluster.node(i).name();
  }
  const absl::Duration begin = SystemClock().MonotonicNow();
  leader->replica->Leave();
  Node* const next = cluster.AwaitLeader(leader);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->name(), cluster.heir);
  for (int i = 0; i < kReplicas; ++i) {
    Node& node = cluster.node(i);
    if (&node == next) continue;
    EXPECT_TRUE(cluster.Await([&] {
      return node.replica->GetLeadership().leader == next->name() &&
             node.replica->news().count() > 0;
    })) << i;
  }
  EXPECT_EQ(cluster.Store("wh_2", leader), 2);
  EXPECT_LT(SystemClock().MonotonicNow() - begin, timing.heartbeat);
}

// The goodbye and the last heartbeat before it are two messages, and may arrive in any order.
TEST(ReplicaTest, AHeartbeatThatTheGoodbyeHasOvertakenDoesNotMakeItsSenderTheLeaderAgain) {
  ReplicaState::Timing timing = QuickTiming();
  timing.heartbeat = absl::Seconds(30);
  Cluster cluster(timing);
  cluster.heir = "one that is gone";  // so that nobody leads for now
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(cluster.AwaitAllApplied());
  const ReplicaStatus before = leader->replica->Status();
  leader->replica->Leave();
  for (int i = 0; i < kReplicas; ++i) {
    Node& node = cluster.node(i);
    if (&node == leader) continue;
    node.replica->Hear({.cluster = kCluster,
                        .replica = leader->name(),
                        .term = before.term,
                        .applied = before.applied});
    const Replica::Leadership leadership = node.replica->GetLeadership();
    EXPECT_FALSE(leadership.here);
    EXPECT_EQ(leadership.leader, "");
    EXPECT_LT(leadership.without_leader, kLongEnough);
  }
}

// A replica with a damaged memory, or one that somebody has taken over, tells the others that it
// leads, how far it is and where clients are to go. Who leads is what the log says.
TEST(ReplicaTest, AReplicaThatLiesChangesNothing) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  const int64_t term = leader->replica->Status().term;
  ASSERT_TRUE(cluster.AwaitAllApplied());
  constexpr int64_t kAbsurd = int64_t{1} << 60;
  for (const int64_t lie : {term, term + 1, kAbsurd}) {
    for (const bool leaving : {false, true}) {
      for (int i = 0; i < kReplicas; ++i) {
        cluster.node(i).replica->Hear({.cluster = kCluster,
                                       .replica = "liar",
                                       .address = "liar.example:1",
                                       .term = lie,
                                       .applied = kAbsurd,
                                       .leaving = leaving});
      }
    }
  }
  EXPECT_EQ(cluster.Store("wh_2"), 2);
  cluster.ExpectAllSame();
  EXPECT_TRUE(leader->replica->Status().serving);
  for (int i = 0; i < kReplicas; ++i) {
    const ReplicaStatus status = cluster.node(i).replica->Status();
    EXPECT_EQ(status.term, term) << i;
    EXPECT_LT(status.known, kAbsurd) << i;
  }
}

// The answer to an append is lost, or the append itself: the same bytes at the same index make one
// record of it, and its sender hears 200.
TEST(ReplicaTest, UnknownOutcomesBecomeKnownAndStoreOnce) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  leader->engine->LoseAnswers(2);
  const auto second = cluster.Append(*leader, "wh_2");
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->sequence, 2);
  leader->engine->LoseRequests(2);
  const auto third = cluster.Append(*leader, "wh_3");
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(third->sequence, 3);
  leader->engine->DelayRequests(1);
  const auto fourth = cluster.Append(*leader, "wh_4");
  ASSERT_TRUE(fourth.ok()) << fourth.status();
  cluster.engine.DeliverDelayed();  // What was under way comes when its place is taken.
  EXPECT_EQ(RecordsWithEvents(cluster.engine).size(), 4u);
  cluster.ExpectAllSame();
}

// A leader stands still, or is cut off from everything, and goes on later as if nothing had
// happened: nothing that it is asked to store is said to be stored.
TEST(ReplicaTest, AZombieIsFencedByItsFirstAppend) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const zombie = cluster.AwaitLeader();
  ASSERT_NE(zombie, nullptr);
  zombie->is_isolated = true;
  zombie->engine->SetCutOff(true);
  EXPECT_EQ(cluster.Store("wh_2", zombie), 2);

  EXPECT_EQ(zombie->replica->Status().role, Role::kLeader) << "as far as it knows";
  EXPECT_TRUE(cluster.Await([&] { return !zombie->replica->Status().serving; }))
      << "nobody should be sent there";
  EXPECT_EQ(cluster.Append(*zombie, "wh_1")->sequence, 1) << "what is stored for good is no lie";
  zombie->engine->SetCutOff(false);
  const auto refused = cluster.Append(*zombie, "wh_3");
  EXPECT_EQ(ReasonOf(refused.status()), reason::kNoLeader) << refused.status();
  EXPECT_TRUE(cluster.Await([&] { return !zombie->leads; }));
  zombie->is_isolated = false;
  EXPECT_EQ(cluster.Store("wh_3"), 3);
  cluster.ExpectAllSame();
}

// Replicas that do not hear each other see in the log that somebody leads: nobody fights for it.
TEST(ReplicaTest, ALeaderThatIsOnlySeenInTheLogGoesOn) {
  ReplicaState::Timing timing = QuickTiming();
  timing.silence = absl::Seconds(2);
  Cluster cluster(timing);
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  for (int i = 0; i < kReplicas; ++i) cluster.node(i).is_isolated = true;
  // For longer than a silence, which records without entries fill.
  const auto before = cluster.engine.Records(kCluster).size();
  ASSERT_TRUE(cluster.Await([&] { return cluster.engine.Records(kCluster).size() > before + 30; }));
  EXPECT_TRUE(leader->replica->Status().serving);
  EXPECT_EQ(leader->replica->Status().term, 1);
  EXPECT_EQ(cluster.Store("wh_2"), 2);
  cluster.ExpectAllSame();
  // Who that is they see there, too.
  cluster.Kill(*leader);
  Node* const next = cluster.AwaitLeader(leader);
  ASSERT_NE(next, nullptr);
  for (int i = 0; i < kReplicas; ++i) {
    Node& node = cluster.node(i);
    if (!node.runs()) continue;
    EXPECT_TRUE(cluster.Await([&] { return node.replica->Status().leader == next->name(); }));
  }
}

// A leader that cannot reach the log, while the others hear it well, lets another one lead.
TEST(ReplicaTest, ALeaderThatIsCutOffFromTheLogGivesWay) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const cut_off = cluster.AwaitLeader();
  ASSERT_NE(cut_off, nullptr);
  cut_off->engine->SetCutOff(true);
  EXPECT_FALSE(cluster.Append(*cut_off, "wh_2").ok());
  EXPECT_EQ(cluster.Store("wh_2", cut_off), 2);
  cut_off->engine->SetCutOff(false);
  cluster.ExpectAllSame();
}

// The log stands still with a record under way: its sender is told that nobody knows, and those
// behind it that nothing was stored. Afterwards it is there once.
TEST(ReplicaTest, WhileTheLogDoesNotAnswerNobodyIsPromisedAnything) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  cluster.engine.Pause();
  const auto unknown = cluster.Append(*leader, "wh_2");
  EXPECT_EQ(ReasonOf(unknown.status()), reason::kNoLeader) << unknown.status();
  const auto behind = cluster.Append(*leader, "wh_3");
  EXPECT_EQ(ReasonOf(behind.status()), reason::kNoLeader) << behind.status();
  EXPECT_EQ(leader->log->Position().head, 1);
  cluster.engine.Resume();
  const Sequence second = cluster.Store("wh_2");
  const Sequence third = cluster.Store("wh_3");
  EXPECT_EQ(std::min(second, third), 2);
  EXPECT_EQ(std::max(second, third), 3);
  cluster.ExpectAllSame();
}

// A replica whose disk is wiped has all of it again from the log.
TEST(ReplicaTest, AWipedReplicaBeginsAnew) {
  Cluster cluster;
  cluster.StartAll();
  for (int i = 1; i <= 20; ++i) cluster.Store(absl::StrCat("wh_", i));
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  cluster.Kill(*leader);
  std::filesystem::remove_all(leader->folder());
  EXPECT_EQ(cluster.Store("wh_21"), 21);
  cluster.Start(*leader);
  cluster.ExpectAllSame();
}

// A gateway with an empty folder ended at its start when another one's call held a lock of the
// engine for a moment: it asks again.
TEST(ReplicaTest, OneThatBeginsAsksABusyLogAgain) {
  Cluster cluster;
  InMemoryLog engine(cluster.engine, {.cluster = kCluster});
  Replica replica({.cluster = kCluster, .name = "x"}, engine, SystemClock(), nullptr);
  ReplicaOptions options = replica.LogOptions();
  engine.SetCutOff(true);
  const absl::Status untried = engine.State().status;
  absl::Status opened;
  std::thread opening([&] {
    opened =
        SqliteEventLog::Open({.data_dir = FreshTestFolder()}, nullptr, nullptr, nullptr, &options)
            .status();
  });
  EXPECT_TRUE(cluster.Await([&] { return engine.State().status != untried; }));
  engine.SetCutOff(false);
  opening.join();
  EXPECT_TRUE(opened.ok()) << opened;
}

// Puts a copy of what `from` holds, as it is while it runs, in the place of what `to` held. As
// hookgated --restore does, but for its checks: these events are not sound.
void Seed(const Node& from, const Node& to) {
  std::filesystem::remove_all(to.folder());
  std::filesystem::create_directory(to.folder());
  std::filesystem::copy(BackUpLog(from.folder()) + "/events.db", to.folder() + "/events.db");
}

// The log is not kept for ever, so an empty folder is not always enough.
TEST(ReplicaTest, AReplicaThatTheLogNoLongerReachesTakesACopyOfAnother) {
  Cluster cluster;
  cluster.StartAll();
  for (int i = 1; i <= 20; ++i) cluster.Store(absl::StrCat("wh_", i));
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(cluster.AwaitAllApplied());
  cluster.Kill(*leader);
  std::filesystem::remove_all(leader->folder());
  Node* const other = cluster.AwaitLeader(leader);
  ASSERT_NE(other, nullptr);
  ASSERT_TRUE(other->engine->Trim(10).ok());
  const absl::Status refused = leader->Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("hookgate cluster reseed"));
  leader->Kill();

  Seed(*other, *leader);
  EXPECT_EQ(cluster.Store("wh_21", leader), 21);
  cluster.Start(*leader);
  cluster.ExpectAllSame();
}

TEST(ReplicaTest, AClusterIsFoundedWithALogThatHoldsEvents) {
  Cluster cluster;
  Node& founder = cluster.node(0);
  std::string epoch;
  {
    const auto own = OpenTemporaryLog(nullptr, founder.folder());
    epoch = own->epoch();
    for (int i = 0; i < 3; ++i) AppendSoundEvent(*own);
  }
  const absl::Status refused = founder.Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("--found_cluster"));
  founder.Kill();

  founder.founds = true;
  cluster.Start(founder);
  EXPECT_EQ(cluster.Store("wh_4"), 4);
  EXPECT_EQ(founder.log->epoch(), epoch) << "cursors of before hold";
  // One that began with nothing would lack what came before the log.
  const absl::Status empty = cluster.node(1).Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(empty)) << empty;
  EXPECT_THAT(std::string(empty.message()), testing::HasSubstr("hookgate cluster reseed"));
  cluster.node(1).Kill();
  for (int i = 1; i < kReplicas; ++i) {
    Seed(founder, cluster.node(i));
    cluster.Start(cluster.node(i));
  }
  EXPECT_EQ(cluster.Store("wh_5"), 5);
  cluster.Kill(founder);
  EXPECT_EQ(cluster.Store("wh_6", &founder), 6);
  founder.founds = false;
  cluster.Start(founder);
  cluster.ExpectAllSame();

  // What is there is not founded on top of.
  cluster.Kill(founder);
  founder.founds = true;
  const absl::Status again = founder.Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(again)) << again;
  EXPECT_THAT(std::string(again.message()), testing::HasSubstr("holds records"));
  founder.Kill();
  founder.founds = false;
  cluster.Start(founder);
  cluster.ExpectAllSame();
}

// All that the engine had is gone, and every replica still has what was answered.
TEST(ReplicaTest, AReplicaFoundsTheLogAnewWhereTheEngineLostIt) {
  Cluster cluster;
  cluster.StartAll();
  for (int i = 1; i <= 10; ++i) cluster.Store(absl::StrCat("wh_", i));
  ASSERT_TRUE(cluster.AwaitAllApplied());
  for (int i = 0; i < kReplicas; ++i) cluster.Kill(cluster.node(i));
  cluster.engine.Replace(kCluster);

  Node& founder = cluster.node(0);
  founder.founds = true;
  cluster.Start(founder);
  EXPECT_EQ(cluster.Store("wh_11"), 11);
  EXPECT_EQ(cluster.Store("wh_7"), 7) << "a repeat";
  for (int i = 1; i < kReplicas; ++i) {
    Seed(founder, cluster.node(i));
    cluster.Start(cluster.node(i));
  }
  EXPECT_EQ(cluster.Store("wh_12"), 12);
  cluster.ExpectAllSame();
}

// Most of the engine's disks are wiped: what was answered is on every replica, and nothing is said
// to be stored on top of what is gone, by whoever leads.
TEST(ReplicaTest, ALogThatLostItsEndIsNeverContinued) {
  Cluster cluster;
  cluster.StartAll();
  for (int i = 1; i <= 10; ++i) cluster.Store(absl::StrCat("wh_", i));
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(cluster.AwaitAllApplied());
  cluster.engine.Wipe(kCluster);
  EXPECT_FALSE(cluster.Append(*leader, "wh_11").ok());
  // Nobody can lead: each has more than the log.
  EXPECT_TRUE(cluster.Await([&] {
    return ReasonOf(leader->replica->Status().problem) == log_reason::kLogBehind;
  })) << leader->replica->Status().problem;
  for (int i = 0; i < kReplicas; ++i) {
    EXPECT_FALSE(cluster.Append(cluster.node(i), "wh_11").ok());
    EXPECT_EQ(cluster.node(i).log->Position().head, 10);
  }
  EXPECT_TRUE(cluster.engine.Records(kCluster).empty());
}

// A newer replica has written what this one cannot read: it says so, and applies nothing after it.
TEST(ReplicaTest, AnUnknownRecordStopsAReplicaAndIsNeverSkipped) {
  Cluster cluster;
  cluster.Start(cluster.node(0));
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node& node = cluster.node(0);
  cluster.Kill(node);
  const auto records = cluster.engine.Records(kCluster);
  replication::v1::Record last;
  ASSERT_TRUE(ParseRecord(records.back().bytes, last).ok());
  const RecordTail tail = TailOf(last, records.back().bytes);
  replication::v1::Record unknown;
  BeginRecord(tail, tail.term + 1, 7, unknown);
  unknown.add_entries()->mutable_term();
  unknown.set_format(kRecordFormat + 1);
  InMemoryLog newer(cluster.engine, {.cluster = kCluster});
  ASSERT_EQ(newer.CompareAppend(tail.index, BytesOf(unknown), kLongEnough).outcome,
            CompareAppendOutcome::kAppended);
  cluster.Start(node);
  EXPECT_TRUE(cluster.Await([&] { return node.replica->Status().role == Role::kDiverged; }));
  EXPECT_EQ(ReasonOf(node.replica->Status().problem), record_reason::kRecordUnknown);
  EXPECT_EQ(node.log->Position().head, 1);
  EXPECT_FALSE(cluster.Append(node, "wh_2").ok());
}

// One bit of a record differs from what its writer wrote, in the middle of an event. Once it was
// applied all the same, and told by the next record, which does not follow it: too late for the
// last one of all, with which a replica could lead.
TEST(ReplicaTest, AFlippedBitIsNeverAppliedAndStopsNobodyForGood) {
  Cluster cluster;
  cluster.Start(cluster.node(0));
  for (int i = 1; i <= 5; ++i) cluster.Store(absl::StrCat("wh_", i));
  const LogIndex damaged = RecordsWithEvents(cluster.engine).at(2);
  cluster.engine.FlipBit(kCluster, damaged, 8 * 200);
  cluster.Start(cluster.node(1));
  Node& late = cluster.node(1);
  EXPECT_TRUE(cluster.Await([&] {
    return ReasonOf(late.replica->Status().problem) == log_reason::kLogDamaged;
  })) << late.replica->Status().problem;
  EXPECT_EQ(late.log->Position().head, 2);
  // On its way, that is: the engine has it whole, or another copy of it.
  cluster.engine.FlipBit(kCluster, damaged, 8 * 200);
  EXPECT_TRUE(cluster.Await([&] { return late.log->Position().head == 5; }))
      << late.replica->Status().problem;
}

// A replica that lags is behind what the log has lost, so that the log does not end before what it
// holds: it went on upon that, and what had been answered was nowhere but in the folders of those
// that it called wrong.
TEST(ReplicaTest, ALogThatLostItsEndIsNotContinuedByOneThatLagged) {
  for (const bool forgets : {false, true}) {
    Cluster cluster;
    cluster.StartAll();
    Node* const leader = cluster.AwaitLeader();
    ASSERT_NE(leader, nullptr);
    ASSERT_TRUE(cluster.AwaitAllApplied());
    Node& late = *leader == cluster.node(0) ? cluster.node(1) : cluster.node(0);
    late.engine->SetCutOff(true);
    const LogIndex had = late.replica->tail().index;
    for (int i = 1; i <= 10; ++i) {
      EXPECT_TRUE(cluster.Append(*leader, absl::StrCat("wh_", i)).ok());
    }
    const Sequence head = late.log->Position().head;
    ASSERT_LT(head, 10);
    cluster.engine.RollBack(kCluster, had + 2);
    if (forgets) {  // As if it had just been started: it asks the others once it has begun a term.
      cluster.Kill(late);
      cluster.Start(late);
    } else {
      late.engine->SetCutOff(false);
    }
    EXPECT_TRUE(cluster.Await([&] {
      return ReasonOf(late.replica->Status().problem) == log_reason::kLogBehind;
    })) << late.replica->Status().problem;
    for (int i = 0; i < kReplicas; ++i) {
      EXPECT_FALSE(cluster.Append(cluster.node(i), "wh_11").ok()) << forgets;
    }
    EXPECT_LE(RecordsWithEvents(cluster.engine).size(), 2) << forgets;
    EXPECT_EQ(leader->log->Position().head, 10);
  }
}

// The log compares indexes alone, and so took the term of a replica with as many records as it has,
// but others: it led, and all that were right stopped.
TEST(ReplicaTest, AReplicaWithAnotherHistoryNeverLeads) {
  Cluster cluster;
  Node& node = cluster.node(0);
  cluster.Start(node);
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  cluster.Kill(node);
  const auto records = cluster.engine.Records(kCluster);
  const LogRecord& before = records.at(records.size() - 2);
  replication::v1::Record parsed;
  ASSERT_TRUE(ParseRecord(before.bytes, parsed).ok());
  const RecordTail tail = TailOf(parsed, before.bytes);
  replication::v1::Record another;
  BeginRecord(tail, tail.term + 1, 7, another);
  another.add_entries()->mutable_term()->set_replica("z");
  cluster.engine.RollBack(kCluster, tail.index);
  InMemoryLog others(cluster.engine, {.cluster = kCluster});
  ASSERT_EQ(others.CompareAppend(tail.index, BytesOf(another), kLongEnough).outcome,
            CompareAppendOutcome::kAppended);
  cluster.Start(node);
  EXPECT_TRUE(cluster.Await([&] { return node.replica->Status().role == Role::kDiverged; }));
  EXPECT_EQ(ReasonOf(node.replica->Status().problem), record_reason::kRecordContradicts);
  EXPECT_EQ(cluster.engine.Records(kCluster).size(), records.size());
}

// Where replicas do not reach each other, only records tell that a leader lives. One that loaded
// many subscriptions appended none meanwhile, so that the next one took over, and had to load them.
TEST(ReplicaTest, ALeaderThatLoadsForLongShowsThatItLives) {
  Cluster cluster;
  for (int i = 0; i < kReplicas; ++i) {
    cluster.node(i).is_isolated = true;
    cluster.node(i).on_lead = [&cluster] {
      const size_t before = cluster.engine.Records(kCluster).size();
      EXPECT_TRUE(
          cluster.Await([&] { return cluster.engine.Records(kCluster).size() >= before + 10; }));
    };
  }
  cluster.StartAll();
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  EXPECT_EQ(leader->replica->Status().term, 1);
  EXPECT_EQ(cluster.Store("wh_1"), 1);
}

// That it has all of the term before says nothing of how far it is: what it shows may be old, and
// it cannot tell a cursor of another replica's from one of another history.
TEST(ReplicaTest, AReplicaThatHasNotComeToTheNewestTermSaysThatItIsBehind) {
  Cluster cluster;
  cluster.StartAll();
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  ASSERT_TRUE(cluster.AwaitAllApplied());
  Node& late = *leader == cluster.node(0) ? cluster.node(1) : cluster.node(0);
  EXPECT_TRUE(cluster.Await([&] { return late.replica->Status().follows; }));
  late.engine->SetCutOff(true);
  cluster.Kill(*leader);
  EXPECT_TRUE(cluster.Await([&] {
    const ReplicaStatus status = late.replica->Status();
    return !status.leader.empty() && status.leader != leader->name() && !status.follows &&
           status.lag > absl::ZeroDuration();
  }));
  late.engine->SetCutOff(false);
  EXPECT_TRUE(cluster.Await([&] {
    const ReplicaStatus status = late.replica->Status();
    return status.follows && status.lag == absl::ZeroDuration();
  }));
}

// A replica whose clock is days ahead took over, and what its clock was ahead passed for days
// during which the log was closed: all that was stored was removed as that much older.
TEST(ReplicaTest, AgesTrustNoOtherReplicasClock) {
  Cluster cluster;
  cluster.StartAll();
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  AgeChanges changes;
  changes.clock =
      AgeClock{.running = absl::Hours(30),
               .trusted = AgeClock::Trusted{.wall = absl::FromUnixSeconds(1'750'000'000),
                                            .running = absl::Hours(29)}};
  EXPECT_TRUE(cluster.Await([&] { return leader->log->StoreAges(changes).ok(); }));
  ASSERT_TRUE(cluster.AwaitAllApplied());
  for (int i = 0; i < kReplicas; ++i) {
    const auto ages = cluster.node(i).log->LoadAges(SystemClock().WallNow());
    ASSERT_TRUE(ages.ok()) << ages.status();
    ASSERT_TRUE(ages->clock.has_value());
    EXPECT_EQ(ages->clock->running, absl::Hours(30));
    EXPECT_FALSE(ages->clock->trusted.has_value());
  }
}

TEST(ReplicaTest, FoldersOfOthersAreRefused) {
  Cluster cluster;
  Node& node = cluster.node(0);
  cluster.Start(node);
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  cluster.Kill(node);
  // Without the cluster it would go on alone.
  const auto alone = SqliteEventLog::Open({.data_dir = node.folder()}, nullptr);
  EXPECT_TRUE(absl::IsFailedPrecondition(alone.status())) << alone.status();
  EXPECT_THAT(std::string(alone.status().message()), testing::HasSubstr("cluster hooks"));

  InMemoryLog engine(cluster.engine, {.cluster = "others"});
  Replica other({.cluster = "others", .name = "x"}, engine, SystemClock(), nullptr);
  ReplicaOptions options = other.LogOptions();
  const auto of_others =
      SqliteEventLog::Open({.data_dir = node.folder()}, nullptr, nullptr, nullptr, &options);
  EXPECT_TRUE(absl::IsFailedPrecondition(of_others.status())) << of_others.status();

  const std::string own = FreshTestFolder();
  AppendEvent(*OpenTemporaryLog(nullptr, own));
  const auto of_its_own =
      SqliteEventLog::Open({.data_dir = own}, nullptr, nullptr, nullptr, &options);
  EXPECT_TRUE(absl::IsFailedPrecondition(of_its_own.status())) << of_its_own.status();
}

// All that the writer does, besides events: what a subscription owes, quarantine, conflicts,
// retention and its ages, and what a new leader reads of them.
TEST(ReplicaTest, EveryKindOfChangeIsOnEveryReplica) {
  Cluster cluster;
  // What stands here for subscriptions are rows that no subscription would write.
  for (int i = 0; i < kReplicas; ++i) cluster.node(i).loads_subscriptions = false;
  cluster.StartAll();
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  SqliteEventLog& log = *leader->log;
  for (int i = 1; i <= 8; ++i) cluster.Store(absl::StrCat("wh_", i));
  const auto id = CreateSubscription(log, "billing", "settings", absl::FromUnixSeconds(5), 0);
  ASSERT_TRUE(id.ok()) << id.status();
  const auto other = CreateSubscription(log, "gone", "settings", absl::FromUnixSeconds(5), 0);
  ASSERT_TRUE(other.ok()) << other.status();
  auto changes = std::make_unique<SubscriptionChanges>();
  changes->position.emplace();
  changes->position->position = 3;
  changes->position->last_delivery = 2;
  UnsettledEvent unsettled;
  unsettled.sequence = 2;
  unsettled.delivery = 2;
  unsettled.consumer = "worker";
  changes->unsettled.push_back(unsettled);
  DeadEvent dead;
  dead.sequence = 3;
  dead.nack_reason = "no such customer";
  changes->dead.push_back(dead);
  EXPECT_TRUE(AwaitOutcome<absl::Status>([&](auto done) {
                log.WriteSubscription(*id, std::move(changes), std::move(done));
              }).ok());
  EXPECT_TRUE(DeleteSubscription(log, *other).ok());
  for (const char* const body : {"not json", "not json", "nor this"}) {
    QuarantinedWebhook webhook;
    webhook.source = "openai";
    webhook.webhook_id = body;
    webhook.raw_body = body;
    webhook.webhook_time = webhook.receive_time = absl::FromUnixSeconds(5);
    PutIntoQuarantine(log, webhook);
  }
  EXPECT_TRUE(Discard(log, 1).ok());
  auto conflicting = NewEvent("wh_5");
  conflicting->raw_body = "another body";
  EXPECT_EQ(AwaitOutcome<absl::StatusOr<AppendResult>>([&](auto done) {
              log.Append(std::move(conflicting), std::move(done));
            })->outcome,
            Outcome::kConflict);
  EXPECT_TRUE(log.StoreAges({.marks = {{.running = absl::Seconds(1)}}}).ok());
  TrimCutoffs cutoffs;
  cutoffs.settled = 2;
  cutoffs.unsettled = 2;
  EXPECT_EQ(*log.Trim(cutoffs), 2);
  cluster.ExpectAllSame();
  for (int i = 0; i < kReplicas; ++i) {
    EXPECT_EQ(cluster.node(i).log->Position().earliest, 3);
    EXPECT_EQ(Dump(cluster.node(i).folder(), "unsettled_events"),
              Dump(leader->folder(), "unsettled_events"));
  }
  EXPECT_NE(Dump(leader->folder(), "dead_letters"), "");
  EXPECT_NE(Dump(leader->folder(), "conflicts"), "");
  EXPECT_NE(Dump(leader->folder(), "quarantine"), "");

  cluster.Kill(*leader);
  Node* const next = cluster.AwaitLeader();
  ASSERT_NE(next, nullptr);
  const auto loaded = next->log->LoadSubscriptions();
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ(loaded->front().position.position, 3);
  ASSERT_FALSE(loaded->front().deliveries.empty());
  EXPECT_EQ(loaded->front().deliveries.back().mark, next->log->history().mark)
      << "the new leader's deliveries are told from those of the old one";
  EXPECT_EQ(loaded->front().deliveries.back().first, 3);
  EXPECT_EQ(cluster.Store("wh_9"), 9);
  const auto third = CreateSubscription(*next->log, "third", "", absl::FromUnixSeconds(5), 0);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_GT(*third, *other) << "an id is never given twice, by whoever leads";
  cluster.Start(*leader);
  cluster.ExpectAllSame();
}

// Takes what it is given, until it is asked for it.
class Taker final : public Receiver {
 public:
  void OnDeliveries(std::vector<Delivery> deliveries) override {
    absl::MutexLock lock(&mu_);
    for (Delivery& delivery : deliveries) deliveries_.push_back(std::move(delivery));
  }
  void OnEnd(const absl::Status& status) override {
    absl::MutexLock lock(&mu_);
    end_ = status;
  }
  size_t count() {
    absl::MutexLock lock(&mu_);
    return deliveries_.size();
  }
  std::vector<Delivery> deliveries() {
    absl::MutexLock lock(&mu_);
    return deliveries_;
  }
  absl::Status end() {
    absl::MutexLock lock(&mu_);
    return end_;
  }

 private:
  absl::Mutex mu_;
  std::vector<Delivery> deliveries_ ABSL_GUARDED_BY(mu_);
  absl::Status end_ ABSL_GUARDED_BY(mu_);
};

// A consumer's events outlive the leader that handed them out: what it has acked does not come
// again, what it has not comes from the next leader, and a leader's death is no attempt.
TEST(ReplicaTest, WhatASubscriptionOwesIsOwedByTheNextLeader) {
  Cluster cluster;
  cluster.StartAll();
  Node* const leader = cluster.AwaitLeader();
  ASSERT_NE(leader, nullptr);
  const auto settings = SubscriptionSettings::FromProto({}, "settings");
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto created = AwaitOutcome<absl::StatusOr<std::shared_ptr<Subscription>>>(
      [&](auto done) { leader->registry->Create("billing", *settings, 0, std::move(done)); });
  ASSERT_TRUE(created.ok()) << created.status();
  const auto attach = [](Subscription& subscription, const std::shared_ptr<Taker>& taker) {
    const auto stream =
        subscription.Attach("worker", {.max_messages = 100}, /*include_raw_body=*/false, taker);
    ASSERT_TRUE(stream.ok()) << stream.status();
  };
  // Acks it with all that was given before; answers once it is durable.
  const auto ack = [](Subscription& subscription, const std::vector<DeliveryId>& ids) {
    std::vector<AckItem> items;
    for (const DeliveryId& id : ids) items.push_back({.kind = AckItem::Kind::kAck, .id = id});
    return AwaitOutcome<absl::StatusOr<std::vector<AckOutcome>>>(
        [&](auto done) { subscription.Settle(std::move(items), std::move(done)); });
  };
  // One is handed out, and is acked; the others come after that.
  EXPECT_EQ(cluster.Store("wh_1"), 1);
  const auto before = std::make_shared<Taker>();
  attach(**created, before);
  ASSERT_TRUE(cluster.Await([&] { return before->count() >= 1; }));
  const DeliveryId first = before->deliveries().front().lease.id;
  ASSERT_TRUE(ack(**created, {first}).ok());
  for (int i = 2; i <= 4; ++i) EXPECT_EQ(cluster.Store(absl::StrCat("wh_", i)), i);
  ASSERT_TRUE(cluster.AwaitAllApplied());

  cluster.Kill(*leader);
  Node* const next = cluster.AwaitLeader();
  ASSERT_NE(next, nullptr);
  for (int i = 0; i < kReplicas; ++i) {
    Node& node = cluster.node(i);
    if (&node == next || !node.runs()) continue;
    EXPECT_EQ(ReasonOf(node.registry->Find("billing").status()), reason::kNoLeader);
  }
  const auto found = next->registry->Find("billing");
  ASSERT_TRUE(found.ok()) << found.status();
  const auto after = std::make_shared<Taker>();
  attach(**found, after);
  ASSERT_TRUE(cluster.Await([&] { return after->count() >= 1; }));
  std::vector<Sequence> sequences;
  std::vector<DeliveryId> ids;
  for (const Delivery& delivery : after->deliveries()) {
    sequences.push_back(delivery.event->sequence);
    EXPECT_EQ(delivery.lease.attempt, 1);
    ids.push_back(delivery.lease.id);
  }
  EXPECT_EQ(sequences.front(), 2) << "what was acked does not come again";
  const auto acked = ack(**found, ids);
  ASSERT_TRUE(acked.ok()) << acked.status();
  EXPECT_EQ(acked->front(), AckOutcome::kOk);
  cluster.Start(*leader);
  cluster.ExpectAllSame();
}

// Senders that repeat until they are answered, while replicas are killed, isolated, cut off and
// wiped, and answers are lost, in random order. HOOKGATE_SEED repeats the order of the faults.
TEST(ReplicaTest, NothingAnsweredIsLostUnderRandomFaults) {
  const char* const given = std::getenv("HOOKGATE_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "HOOKGATE_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const auto pick = [&](int below) {
    return static_cast<int>(random() % static_cast<uint64_t>(below));
  };
  constexpr int kFaults = 12;
  Cluster cluster;
  cluster.StartAll();
  std::map<std::string, Sequence> answered;
  int next_id = 0;
  const auto store_some = [&](int count) {
    for (int i = 0; i < count; ++i) {
      // Some of them are repeats of what was answered.
      const int number = next_id > 0 && pick(4) == 0 ? pick(next_id) : next_id++;
      const std::string id = absl::StrCat("wh_", number);
      const Sequence sequence = cluster.Store(id);
      const auto [known, is_new] = answered.emplace(id, sequence);
      EXPECT_EQ(known->second, sequence) << id;
    }
  };
  for (int fault = 0; fault < kFaults; ++fault) {
    store_some(1 + pick(8));
    Node* const leader = cluster.AwaitLeader();
    ASSERT_NE(leader, nullptr);
    Node& node = pick(3) == 0 ? cluster.node(pick(kReplicas)) : *leader;
    switch (pick(6)) {
      case 0:
        cluster.Kill(node);
        store_some(pick(4));
        cluster.Start(node);
        break;
      case 1:
        cluster.Kill(node);
        std::filesystem::remove_all(node.folder());
        cluster.Start(node);
        break;
      case 2:
        node.engine->LoseAnswers(1 + pick(3));
        break;
      case 3:
        node.engine->DelayRequests(1 + pick(2));
        store_some(1 + pick(3));
        cluster.engine.DeliverDelayed();
        break;
      case 4:
        node.is_isolated = true;
        node.engine->SetCutOff(true);
        cluster.AwaitLeader(&node);
        store_some(1 + pick(3));
        node.engine->SetCutOff(false);
        store_some(pick(3));
        node.is_isolated = false;
        break;
      case 5:
        node.engine->SetCutOff(true);
        // A leader notices when it has something to append.
        EXPECT_FALSE(cluster.Append(node, "wh_cut_off").ok());
        cluster.AwaitLeader(&node);
        store_some(pick(2));
        node.engine->SetCutOff(false);
        break;
    }
  }
  store_some(3);
  cluster.ExpectAllSame();
  Node& node = cluster.node(0);
  EXPECT_EQ(node.log->Position().head, next_id);
  for (const auto& [id, sequence] : answered) {
    const auto found = node.log->Find("openai", id);
    ASSERT_TRUE(found.ok()) << id << " was answered and is lost: " << found.status();
    EXPECT_EQ((*found)->sequence, sequence) << id;
  }
}

}  // namespace
}  // namespace hookgate
