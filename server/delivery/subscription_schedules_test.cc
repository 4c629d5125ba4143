// P7 against random schedules: consumers, limits, acks, nacks, lapses, seeks, retention, jumps of
// the wall clock, and a crash between any two writes. Whatever the order:
//
//   nothing acked is lost or comes back, unless a seek asks for it; nothing unacked is forgotten;
//   attempts count only what counts; limits hold; in the end every event is acked or dead, or
//   retention has removed it and it was counted as lost.
//
// The consumers' side knows only what was committed: leases are handed over, and acks answered,
// then.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/delivery/subscription_state.h"

namespace hookgate {
namespace {

constexpr int kSchedules = 100'000;
constexpr int kSteps = 40;
constexpr Sequence kEvents = 6;
constexpr int kMaxAttempts = 3;
constexpr int64_t kMaxMessages = 2;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) { Restart(); }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      Step();
      CheckLimits();
    }
    Settle();
  }

 private:
  // What one commit lets out.
  struct Write {
    SubscriptionChanges changes;
    std::vector<Lease> leases;
    std::set<Sequence> acked;
    bool seek = false;
    Sequence redriven = 0;
  };

  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void Restart() {
    writes_.clear();
    streams_.clear();
    stored_.unsettled.clear();
    for (const auto& [sequence, event] : unsettled_) stored_.unsettled.push_back(event);
    stored_.dead.clear();
    for (const auto& [sequence, event] : dead_) stored_.dead.push_back(event);
    state_ = std::make_unique<SubscriptionState>(
        stored_, DeliveryPolicy{.max_attempts = kMaxAttempts}, now_);
    held_.clear();
    state_->Overtaken(earliest_);
  }

  // Four streams of two names.
  void AttachOrDetach() {
    const StreamId stream = 1 + Pick(4);
    if (streams_.erase(stream) > 0) {
      state_->Detach(stream, DeliveryCause::kStreamEnded, false, now_);
    } else {
      state_->Attach(stream, stream % 2 == 0 ? "even" : "odd", {.max_messages = kMaxMessages});
      streams_.insert(stream);
    }
  }

  void Assign() {
    const std::vector<StreamId> ready(streams_.begin(), streams_.end());
    if (state_->WantsOffers(ready)) {
      const Sequence next = state_->offered_to() + 1;
      if (next <= kEvents) state_->Offer({{.sequence = next, .bytes = 1}}, next);
    }
    leases_ = state_->Assign(ready, 10, 1000, now_);
    // One that cannot be read goes back.
    if (!leases_.empty() && Pick(5) == 0) {
      state_->GiveBack(leases_.back().id, now_);
      leases_.pop_back();
    }
  }

  void SetLimits() {
    if (streams_.empty()) return;
    state_->SetLimits(*streams_.begin(), {.max_messages = Pick(kMaxMessages + 1)});
  }

  // Retention removes what is unsettled as well.
  void Overtake() {
    earliest_ = std::min<Sequence>(kEvents, earliest_ + Pick(2));
    int64_t expected = std::max<Sequence>(earliest_ - 1 - state_->position(), 0);
    for (const auto& [sequence, event] : state_->unsettled_events()) {
      if (sequence < earliest_) ++expected;
    }
    EXPECT_EQ(state_->Overtaken(earliest_), expected);
  }

  DeliveryId AnyId() {
    if (known_.empty() || Pick(20) == 0) return {1 + Pick(kEvents), 1 + Pick(50)};
    return known_[static_cast<size_t>(Pick(static_cast<int>(known_.size())))];
  }

  void Step() {
    Write write;
    leases_.clear();
    const auto before = state_->unsettled_events();
    std::set<Sequence> counted;
    switch (Pick(14)) {
      case 0:
        AttachOrDetach();
        break;
      case 1:
      case 2:
      case 3:
        Assign();
        break;
      case 4:
      case 5: {
        const DeliveryId id = AnyId();
        const AckOutcome outcome = state_->Ack(id, now_);
        if (outcome == AckOutcome::kOk) write.acked.insert(id.sequence);
        break;
      }
      case 6:
        Nack(counted);
        break;
      case 7:
        state_->Extend(AnyId(), absl::Minutes(5), now_);
        break;
      case 8:
        Pass(absl::Seconds(Pick(40)));
        for (const auto& [sequence, event] : before) {
          if (event.leased) counted.insert(sequence);  // If it has lapsed.
        }
        break;
      case 9:
        now_.wall += absl::Hours(Pick(48) - 24);  // Somebody sets the clock.
        break;
      case 10:
        if (Pick(10) == 0) {
          state_->Seek(Pick(kEvents + 1));
          write.seek = true;
        } else {
          const Sequence sequence = 1 + Pick(kEvents);
          if (state_->Redrive(sequence, earliest_, now_) ==
              SubscriptionState::RedriveOutcome::kRedriven) {
            write.redriven = sequence;
            EXPECT_GE(sequence, earliest_) << "its event is gone";
          }
        }
        break;
      case 11:
        SetLimits();
        break;
      case 12:
        if (Pick(10) == 0) Overtake();
        break;
      case 13:
        if (Pick(3) == 0) {
          Restart();
          CheckCounted(unsettled_, {});
          return;
        }
        break;
    }
    CheckCounted(before, counted);
    write.changes = state_->TakeChanges();
    write.leases = leases_;
    writes_.push_back(std::move(write));
    for (int commits = Pick(3); commits > 0; --commits) Commit();
  }

  void Nack(std::set<Sequence>& counted) {
    const DeliveryId id = AnyId();
    const NackRequest nack{.reason = "no", .dead_letter = Pick(4) == 0};
    if (state_->Nack(id, nack, now_, random_) == AckOutcome::kOk) counted.insert(id.sequence);
  }

  // Of what is unsettled now, that which was in `before` has one attempt more exactly if it is in
  // `counted` and its lease ended; the rest has none. A stream's end, a seek and a restart count
  // nothing.
  template <typename Events>
  void CheckCounted(const Events& before, const std::set<Sequence>& counted) {
    for (const auto& [sequence, event] : state_->unsettled_events()) {
      const auto found = before.find(sequence);
      int expected = found == before.end() ? 0 : found->second.attempts;
      if (counted.contains(sequence) && !event.leased) ++expected;
      EXPECT_EQ(event.attempts, expected) << "of event " << sequence;
    }
  }

  void Pass(absl::Duration duration) {
    now_.wall += duration;
    now_.monotonic += duration;
    state_->Tick(now_, random_);
  }

  void Commit() {
    if (writes_.empty()) return;
    const Write write = std::move(writes_.front());
    writes_.pop_front();
    Apply(write.changes);
    for (const Sequence sequence : write.acked) {
      acked_.insert(sequence);
      EXPECT_FALSE(dead_.contains(sequence)) << "acked, and a dead letter still";
    }
    acked_.erase(write.redriven);  // Asked for again.
    if (write.seek) {
      // What is after the position comes again; what is before is given up.
      acked_.erase(acked_.upper_bound(stored_.position.position), acked_.end());
      for (Sequence s = 1; s <= stored_.position.position; ++s) acked_.insert(s);
    }
    for (const Lease& lease : write.leases) Hand(lease);
  }

  // The consumer gets it.
  void Hand(const Lease& lease) {
    EXPECT_FALSE(acked_.contains(lease.id.sequence)) << "an acked event came back";
    EXPECT_GE(lease.attempt, 1);
    EXPECT_LE(lease.attempt, kMaxAttempts);
    const bool numbered_anew = !numbers_.insert(lease.id.number).second;
    EXPECT_FALSE(numbered_anew) << "a delivery id was given twice";
    known_.push_back(lease.id);
  }

  void Apply(const SubscriptionChanges& changes) {
    if (changes.position.has_value()) stored_.position = *changes.position;
    for (const UnsettledEvent& event : changes.unsettled) unsettled_[event.sequence] = event;
    for (const Sequence sequence : changes.settled) unsettled_.erase(sequence);
    for (const DeadEvent& event : changes.dead) dead_[event.sequence] = event;
    for (const Sequence sequence : changes.no_longer_dead) dead_.erase(sequence);
    CheckAttempts();
  }

  void CheckAttempts() {
    for (const auto& [sequence, event] : unsettled_) {
      ASSERT_LT(event.attempts, kMaxAttempts) << "attempts went beyond the last";
      EXPECT_LE(sequence, stored_.position.position);
    }
    for (const auto& [sequence, event] : dead_) {
      EXPECT_TRUE(event.attempts == kMaxAttempts || event.cause == DeliveryCause::kConsumerDecided)
          << "dead after " << event.attempts << " attempts";
    }
  }

  void CheckLimits() {
    std::map<std::string, int64_t> held;
    for (const ConsumerStatus& consumer : state_->consumers(now_)) {
      // Lower limits take nothing back.
      EXPECT_LE(consumer.messages, std::max(consumer.limits.max_messages, held_[consumer.name]));
      held[consumer.name] = consumer.messages;
      EXPECT_GE(consumer.messages, 0);
      EXPECT_EQ(consumer.messages == 0, consumer.bytes == 0);
    }
    held_ = std::move(held);
  }

  // A consumer that acks everything comes: then every event is acked or dead.
  void Settle() {
    for (; !writes_.empty();) Commit();
    if (Pick(2) == 0) Restart();
    for (const StreamId stream : streams_) {
      state_->Detach(stream, DeliveryCause::kStreamEnded, false, now_);
    }
    streams_ = {9};
    state_->Attach(9, "last", {.max_messages = kMaxMessages});
    for (int round = 0; round < 100 && !Done(); ++round) {
      Pass(absl::Hours(13));
      Assign();
      Write write;
      write.leases = leases_;
      write.changes = state_->TakeChanges();
      writes_.push_back(write);
      Commit();
      Write acks;
      for (const Lease& lease : write.leases) {
        EXPECT_EQ(state_->Ack(lease.id, now_), AckOutcome::kOk);
        EXPECT_EQ(state_->Ack(lease.id, now_), AckOutcome::kAlready);
        acks.acked.insert(lease.id.sequence);
      }
      acks.changes = state_->TakeChanges();
      writes_.push_back(acks);
      Commit();
    }
    EXPECT_EQ(state_->unsettled(), 0);
    for (Sequence sequence = 1; sequence <= kEvents; ++sequence) {
      EXPECT_TRUE(acked_.contains(sequence) || state_->dead().contains(sequence) ||
                  sequence < earliest_)
          << "event " << sequence << " was forgotten";
    }
  }

  bool Done() const { return state_->unsettled() == 0 && state_->position() == kEvents; }

  std::mt19937_64 random_;
  Instant now_{absl::FromUnixSeconds(1'750'000'000), absl::Hours(1)};
  Sequence earliest_ = 1;  // below it retention has removed everything
  std::unique_ptr<SubscriptionState> state_;
  std::set<StreamId> streams_;
  std::map<std::string, int64_t> held_;  // by consumer, after the step before
  std::vector<Lease> leases_;
  std::deque<Write> writes_;  // not committed yet

  // What is committed.
  StoredSubscription stored_;
  std::map<Sequence, UnsettledEvent> unsettled_;
  std::map<Sequence, DeadEvent> dead_;
  // What the outside was told.
  std::set<Sequence> acked_;
  std::set<int64_t> numbers_;
  std::vector<DeliveryId> known_;
};

// SCHEDULES_SEED repeats a run.
TEST(SubscriptionSchedulesTest, PromisesHoldWhateverTheOrder) {
  const char* const given = std::getenv("SCHEDULES_SEED");
  const uint64_t first = given != nullptr ? std::stoull(given) : std::random_device()();
  std::cout << "SCHEDULES_SEED=" << first << "\n";
  for (uint64_t i = 0; i < kSchedules; ++i) {
    World(first + i).Run();
    ASSERT_FALSE(HasFailure()) << "the first failing schedule: SCHEDULES_SEED=" << first + i;
  }
}

}  // namespace
}  // namespace hookgate
