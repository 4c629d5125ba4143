// Three replicas against random schedules on a simulated log: answers that are lost, appends that
// arrive late, unknown outcomes, replicas that stand still and go on as if nothing had happened
// (zombies), that crash between any two steps, lose what they had not synced, are wiped, hear
// nothing of each other, and whose clocks differ in what they say and in how fast they go. Whatever
// the order:
//
//   each webhook that was answered is in the log once, with the one sequence that was answered;
//   sequences are dense; no record of a leader comes after the term record of the next one; every
//   replica holds what the log holds; and once all is well again, somebody leads.
//
// The senders repeat what was not answered, to whichever replica, and sometimes what was.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/replication/replica_state.h"

namespace hookgate {
namespace {

constexpr int kSchedules = 100'000;
constexpr int kSteps = 70;
constexpr int kReplicas = 3;
constexpr int kWebhooks = 8;  // different ones
constexpr int kMaxRoundsToHeal = 400;
constexpr absl::Duration kRound = absl::Milliseconds(100);

using Role = ReplicaState::Role;
using Want = ReplicaState::Want;

struct Record {
  RecordTail previous;
  RecordTail tail;  // what a replica that has applied it knows
  bool begins_term = false;
  std::vector<std::pair<int, int>> events;  // webhook, sequence
};
using RecordPtr = std::shared_ptr<const Record>;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    Record genesis;
    genesis.tail = {.index = 1, .term = 0, .writer = 0, .hash = NewHash()};
    log_.push_back(std::make_shared<Record>(genesis));
    for (int i = 0; i < kReplicas; ++i) {
      nodes_[i].rate = 0.8 + 0.4 * Fraction();
      nodes_[i].offset = absl::Minutes(20) * Fraction();
      Start(nodes_[i]);
    }
  }

  void Run() {
    for (int step = 0; step < kSteps && !failed_; ++step) Step();
    Heal();
    if (!failed_) Check();
  }

  bool failed() const { return failed_; }
  int answered() const { return static_cast<int>(answers_.size()); }
  int terms() const { return terms_; }

 private:
  // What a replica has under way with the log.
  struct Append {
    enum class Kind { kTerm, kTakeOver, kGroup };
    enum class Phase { kSent, kWaitsToRetry, kAppended, kCommitted };
    Kind kind = Kind::kGroup;
    Phase phase = Phase::kSent;
    RecordPtr record;
    int64_t attempt = 0;
    absl::Duration retry_at;
    std::vector<int> webhooks;  // to be answered
  };
  struct Node {
    std::unique_ptr<ReplicaState> state;  // null: it does not run
    uint64_t writer = 0;
    bool paused = false;
    double rate = 1;
    absl::Duration offset;
    std::vector<int> queue;
    absl::optional<Append> append;
    std::map<std::pair<LogIndex, int64_t>, RecordPtr> term_records;
    // Its database.
    RecordTail tail;
    std::map<int, int> sequences;
    int head = 0;
  };
  // On its way to the log, and perhaps for long.
  struct Request {
    int node = 0;
    uint64_t writer = 0;
    int64_t attempt = 0;
    RecordPtr record;
  };
  struct Message {
    int to = 0;
    int64_t term = 0;
    bool leaving = false;
    ReplicaState::Heir heir = ReplicaState::Heir::kUnsaid;
  };

  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool Chance(int percent) { return Pick(100) < percent; }
  double Fraction() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  absl::Duration NowOf(const Node& node) const { return node.offset + now_ * node.rate; }
  RecordHash NewHash() {
    RecordHash hash{};
    const int64_t number = ++hashes_;
    std::copy_n(reinterpret_cast<const char*>(&number), sizeof(number), hash.begin());
    return hash;
  }
  void Fail(const std::string& what) {
    failed_ = true;
    ADD_FAILURE() << what;
  }

  void Start(Node& node) {
    node.writer = ++writers_;
    node.append.reset();
    node.queue.clear();
    node.term_records.clear();
    node.paused = false;
    node.state = std::make_unique<ReplicaState>(ReplicaState::Timing(), node.writer, node.tail,
                                                random_(), NowOf(node));
  }

  // The database as it was after the record at `index`.
  void RollBack(Node& node, LogIndex index) {
    node.tail = {};
    node.sequences.clear();
    node.head = 0;
    for (LogIndex i = 0; i < index; ++i) Store(node, *log_[static_cast<size_t>(i)]);
  }

  void Store(Node& node, const Record& record) {
    if (!(record.previous == node.tail)) return Fail("a record does not follow");
    for (const auto& [webhook, sequence] : record.events) {
      if (sequence != node.head + 1) return Fail("sequences are not dense");
      node.head = sequence;
      if (!node.sequences.emplace(webhook, sequence).second) return Fail("a webhook is two events");
    }
    node.tail = record.tail;
  }

  void Step() {
    Node& node = nodes_[Pick(kReplicas)];
    const int what = Pick(100);
    if (what < 14) {
      nodes_[Pick(kReplicas)].queue.push_back(Pick(kWebhooks));
    } else if (what < 34) {
      now_ += absl::Milliseconds(Pick(900));
    } else if (what < 50) {
      if (!requests_.empty()) Deliver(Pick(static_cast<int>(requests_.size())));
    } else if (what < 53) {
      TimeOut(node);
    } else if (what < 57) {
      if (node.state != nullptr) {
        node.state.reset();
        node.append.reset();
        // What was not synced is gone: any number of the newest commits.
        if (Chance(30)) RollBack(node, Pick(static_cast<int>(node.tail.index) + 1));
      }
    } else if (what < 58) {
      node.state.reset();
      node.append.reset();
      RollBack(node, 0);
    } else if (what < 62) {
      node.paused = Chance(50);
    } else if (what < 72) {
      if (!messages_.empty()) Hear(Pick(static_cast<int>(messages_.size())), Chance(30));
    } else {
      Drive(node);
    }
  }

  // What the log does with a request, whenever it comes, and whether the answer arrives.
  void Deliver(int which) {
    const Request request = requests_[static_cast<size_t>(which)];
    requests_.erase(requests_.begin() + which);
    const auto expected = static_cast<size_t>(request.record->tail.index - 1);
    CompareAppendOutcome outcome = CompareAppendOutcome::kLost;
    if (expected == log_.size()) {
      const Record& last = *log_.back();
      if (!(request.record->previous == last.tail)) return Fail("does not follow the last record");
      const bool same_term = request.record->tail.term == last.tail.term &&
                             request.record->tail.writer == last.tail.writer;
      if (request.record->begins_term ? request.record->tail.term <= last.tail.term : !same_term) {
        return Fail("a leader that was deposed has appended");
      }
      if (request.record->begins_term) ++terms_;
      log_.push_back(request.record);
      outcome = CompareAppendOutcome::kAppended;
    } else if (expected > log_.size()) {
      return Fail("an append leaves a hole");
    } else if (log_[expected] == request.record) {
      outcome = CompareAppendOutcome::kAppended;
    }
    Node& node = nodes_[request.node];
    if (Chance(25) || node.state == nullptr || node.writer != request.writer) return;
    if (!node.append.has_value() || node.append->attempt != request.attempt ||
        node.append->phase != Append::Phase::kSent) {
      return;  // It has stopped waiting for this answer.
    }
    Answer(node, outcome);
  }

  void TimeOut(Node& node) {
    if (node.state == nullptr || !node.append.has_value() ||
        node.append->phase != Append::Phase::kSent) {
      return;
    }
    Answer(node, CompareAppendOutcome::kUnknown);
  }

  void Answer(Node& node, CompareAppendOutcome outcome) {
    Append& append = *node.append;
    const absl::Duration now = NowOf(node);
    if (append.kind == Append::Kind::kTerm) {
      node.state->TermAppended(outcome, now);
      node.append.reset();
      return;
    }
    const bool again = node.state->AppendEnded(outcome, now);
    if (outcome == CompareAppendOutcome::kLost && node.state->role() == Role::kLeader) {
      return Fail("a leader that has lost an index goes on");
    }
    if (again) {
      append.phase = Append::Phase::kWaitsToRetry;
      append.retry_at = now + absl::Milliseconds(100);
    } else if (outcome == CompareAppendOutcome::kAppended) {
      append.phase = Append::Phase::kAppended;
    } else {
      GroupFailed(node);
    }
  }

  // Answered 503; its senders come again, perhaps to another replica.
  void GroupFailed(Node& node) {
    const Append append = *node.append;
    node.append.reset();
    if (append.kind == Append::Kind::kTakeOver) node.state->Failed(NowOf(node));
    for (const int webhook : append.webhooks) nodes_[Pick(kReplicas)].queue.push_back(webhook);
  }

  void Hear(int which, bool is_lost) {
    const Message message = messages_[static_cast<size_t>(which)];
    messages_.erase(messages_.begin() + which);
    Node& node = nodes_[message.to];
    if (is_lost || node.state == nullptr || node.paused) return;
    if (message.leaving) {
      node.state->HeardLeaving(message.term, message.heir, NowOf(node));
    } else {
      node.state->HeardLeader(message.term, NowOf(node));
    }
  }

  void Drive(Node& node) {
    if (node.state == nullptr) return Start(node);
    if (node.paused) return;
    if (node.append.has_value() && Continue(node)) return;
    ReplicaState& state = *node.state;
    const absl::Duration now = NowOf(node);
    if (!state.serving()) ForwardQueue(node);
    if (state.MayBeat(now)) {
      for (int to = 0; to < kReplicas; ++to) {
        if (&nodes_[to] == &node || !Chance(70)) continue;
        messages_.push_back({.to = to,
                             .term = state.term(),
                             .leaving = Chance(3),
                             .heir = static_cast<ReplicaState::Heir>(Pick(3))});
      }
    }
    const ReplicaState::Step step = state.Next(now);
    switch (step.want) {
      case Want::kFollow:
        return Read(node, static_cast<LogIndex>(log_.size()));
      case Want::kFindEnd:
        // A part of the log may lag behind and not know it.
        if (Chance(5)) return state.Failed(now);
        return state.LogEndsAt(Chance(90) ? static_cast<LogIndex>(log_.size())
                                          : Pick(static_cast<int>(log_.size())) + 1,
                               now);
      case Want::kCatchUp:
        if (Chance(3)) return state.Failed(now);
        return Read(node, step.index);
      case Want::kBeginTerm:
        return BeginTerm(node, step);
      case Want::kTakeOver:
        return Send(node, Append::Kind::kTakeOver, {});
      case Want::kShowLife:
        state.ShownLife(now);
        return Send(node, Append::Kind::kGroup, {});
      case Want::kWait:
        return SendGroup(node);
      case Want::kStepDown:
        return state.SteppedDown(now);
      case Want::kStop:
        return Fail("a replica has stopped");
    }
  }

  // Whether what is under way is all that the replica can do now.
  bool Continue(Node& node) {
    Append& append = *node.append;
    switch (append.phase) {
      case Append::Phase::kSent:
        // Only the writer's thread waits; a term record is waited for by the driver itself.
        return append.kind != Append::Kind::kGroup;
      case Append::Phase::kWaitsToRetry:
        if (node.state->role() != Role::kLeader) {
          node.state->AppendGivenUp();
          GroupFailed(node);
        } else if (NowOf(node) >= append.retry_at) {
          append.phase = Append::Phase::kSent;
          SendRequest(node);
        }
        return true;
      case Append::Phase::kAppended:
        if (Chance(4)) {
          node.state->NotCommitted();
          GroupFailed(node);
          return true;
        }
        Store(node, *append.record);
        node.state->Committed(node.tail);
        append.phase = Append::Phase::kCommitted;
        return true;
      case Append::Phase::kCommitted:
        if (append.kind == Append::Kind::kTakeOver) node.state->TookOver();
        for (const int webhook : append.webhooks) NoteAnswer(webhook, node.sequences.at(webhook));
        node.append.reset();
        return true;
    }
    return true;
  }

  void Read(Node& node, LogIndex last) {
    last = std::min(last, node.tail.index + 1 + Pick(4));
    if (last <= node.tail.index) return;
    for (LogIndex index = node.tail.index; index < last && !failed_; ++index) {
      Store(node, *log_[static_cast<size_t>(index)]);
    }
    node.state->Applied(node.tail, NowOf(node));
  }

  void BeginTerm(Node& node, const ReplicaState::Step& step) {
    RecordPtr& record = node.term_records[{step.index, step.term}];
    if (record == nullptr) {
      if (step.index != node.tail.index + 1) return Fail("a term begins in the wrong place");
      Record begins;
      begins.previous = node.tail;
      begins.tail = {.index = step.index, .term = step.term, .writer = node.writer};
      begins.tail.hash = NewHash();
      begins.begins_term = true;
      record = std::make_shared<Record>(begins);
    }
    node.append.emplace();
    node.append->kind = Append::Kind::kTerm;
    node.append->record = record;
    SendRequest(node);
  }

  // To whichever replica: its sender comes again, or another one forwards it.
  void ForwardQueue(Node& node) {
    std::vector<int> webhooks;
    webhooks.swap(node.queue);
    for (const int webhook : webhooks) nodes_[Pick(kReplicas)].queue.push_back(webhook);
  }

  void SendGroup(Node& node) {
    if (!node.state->serving()) return;
    if (node.append.has_value() || node.queue.empty()) return;
    std::vector<int> webhooks;
    webhooks.swap(node.queue);
    Send(node, Append::Kind::kGroup, std::move(webhooks));
  }

  void Send(Node& node, Append::Kind kind, std::vector<int> webhooks) {
    Record record;
    int head = node.head;
    std::vector<int> waiting;
    for (const int webhook : webhooks) {
      const auto known = node.sequences.find(webhook);
      if (known != node.sequences.end()) {
        // A repeat is answered from what is stored, and changes nothing.
        NoteAnswer(webhook, known->second);
        continue;
      }
      waiting.push_back(webhook);
      const bool in_group =
          std::any_of(record.events.begin(), record.events.end(),
                      [webhook](const auto& event) { return event.first == webhook; });
      if (!in_group) record.events.emplace_back(webhook, ++head);
    }
    if (!webhooks.empty() && waiting.empty()) return;
    const absl::optional<LogIndex> index = node.state->BeginAppend();
    if (!index.has_value()) return Fail("a leader may not append");
    if (*index != node.tail.index + 1) return Fail("a leader appends in the wrong place");
    record.previous = node.tail;
    record.tail = {.index = *index, .term = node.state->term(), .writer = node.writer};
    record.tail.hash = NewHash();
    node.append.emplace();
    node.append->kind = kind;
    node.append->record = std::make_shared<Record>(record);
    node.append->webhooks = std::move(waiting);
    SendRequest(node);
  }

  void SendRequest(Node& node) {
    node.append->attempt = ++attempts_;
    const auto which = static_cast<int>(&node - nodes_);
    requests_.push_back({which, node.writer, attempts_, node.append->record});
  }

  void NoteAnswer(int webhook, int sequence) {
    const auto [answer, is_first] = answers_.emplace(webhook, sequence);
    if (!is_first && answer->second != sequence) Fail("a webhook was answered with two sequences");
  }

  // Everything works again: from here on somebody leads soon, and all of it is at every replica.
  void Heal() {
    for (Node& node : nodes_) {
      node.paused = false;
      if (node.state == nullptr) Start(node);
    }
    const auto all_well = [this] {
      bool is_led = false;
      for (const Node& node : nodes_) {
        is_led =
            is_led || (node.state->serving() && node.queue.empty() && !node.append.has_value());
        if (node.tail.index != static_cast<LogIndex>(log_.size())) return false;
      }
      return is_led && requests_.empty();
    };
    for (int round = 0; round < kMaxRoundsToHeal && !failed_; ++round) {
      if (all_well()) return;
      now_ += kRound;
      while (!requests_.empty() && !failed_) Deliver(0);
      for (Node& node : nodes_) {
        if (node.append.has_value() && Chance(50)) TimeOut(node);
        for (int i = 0; i < 3 && !failed_; ++i) Drive(node);
      }
      while (!messages_.empty()) Hear(0, false);
    }
    if (!failed_) Fail("nobody leads, although all is well");
  }

  void Check() {
    std::map<int, int> stored;
    int head = 0;
    for (const RecordPtr& record : log_) {
      for (const auto& [webhook, sequence] : record->events) {
        if (sequence != ++head) return Fail("sequences of the log are not dense");
        if (!stored.emplace(webhook, sequence).second) return Fail("the log has a webhook twice");
      }
    }
    for (const auto& [webhook, sequence] : answers_) {
      const auto found = stored.find(webhook);
      if (found == stored.end()) return Fail("a webhook that was answered is lost");
      if (found->second != sequence)
        return Fail("a webhook has another sequence than was answered");
    }
    for (const Node& node : nodes_) {
      if (node.sequences != stored) return Fail("a replica holds something else than the log");
    }
  }

  std::mt19937_64 random_;
  absl::Duration now_ = absl::Seconds(10);
  Node nodes_[kReplicas];
  std::vector<RecordPtr> log_;
  std::vector<Request> requests_;
  std::vector<Message> messages_;
  std::map<int, int> answers_;  // webhook, sequence
  uint64_t writers_ = 0;
  int64_t hashes_ = 0;
  int64_t attempts_ = 0;
  int terms_ = 0;
  bool failed_ = false;
};

// HOOKGATE_SEED runs one schedule again.
TEST(ReplicaSchedulesTest, NothingAnsweredIsLostOrDoubled) {
  if (const char* const seed = std::getenv("HOOKGATE_SEED")) {
    World(std::strtoull(seed, nullptr, 10)).Run();
    return;
  }
  const uint64_t first = std::random_device()();
  std::cout << "seeds from " << first << "\n";
  int64_t answered = 0;
  int64_t terms = 0;
  for (int i = 0; i < kSchedules; ++i) {
    World world(first + static_cast<uint64_t>(i));
    world.Run();
    answered += world.answered();
    terms += world.terms();
    ASSERT_FALSE(world.failed()) << "HOOKGATE_SEED=" << first + static_cast<uint64_t>(i);
  }
  std::cout << kSchedules << " schedules, " << answered << " webhooks answered, " << terms
            << " terms\n";
  // Schedules in which nothing happens would show nothing.
  EXPECT_GT(answered, kSchedules);
  EXPECT_GT(terms, kSchedules);
}

}  // namespace
}  // namespace hookgate
