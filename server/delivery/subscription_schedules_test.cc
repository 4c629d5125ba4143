// P7 against random schedules: consumers that stop politely and consumers that die with what they
// hold, limits, acks, nacks, lapses, seeks, filters that change, retention, jumps of the wall
// clock, pauses, commits that take minutes, and a crash between any two writes. Whatever the order:
//
//   nothing acked is lost or comes back, unless a seek asks for it; nothing unacked is forgotten;
//   attempts and lost deliveries count only what counts; no lease ends before it was handed out, or
//   sooner after that than it should; what is redriven, or was acked or dead and is asked for
//   again, is delivered, and no delivery of before has a say in it, also once it is dead (again);
//   what is paused hands out nothing; limits hold; in
//   the end every event is acked or dead, or retention has removed it and it was counted as lost.
//
// And the history tells of each event what has happened to it in this model: its outcome, each of
// its attempts with how that ended, and for those that were never delivered, why.
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

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "hookgate/v1/subscription_service.pb.h"
#include "server/delivery/explain_delivery.h"
#include "server/delivery/subscription_state.h"
#include "server/eventlog/delivery_history.h"

namespace hookgate {
namespace {

constexpr int kSchedules = 100'000;
constexpr int kSteps = 40;
constexpr Sequence kEvents = 6;
constexpr int kMaxAttempts = 3;
constexpr int kMaxLost = 2;
constexpr absl::Duration kAckDeadline = absl::Seconds(30);
constexpr int64_t kMaxMessages = 2;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    moves_.push_back({.kind = SubscriptionMove::Kind::kStart, .settings = Settings()});
    Restart();
  }

  void Run() {
    for (int step = 0; step < kSteps; ++step) {
      Step();
      CheckLimits();
      ASSERT_EQ(state_->BrokenInvariant(), "");
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
    // What the history is to know once it is committed: what became of events, how deliveries
    // ended, by their number, and why events were passed that were not delivered.
    std::map<Sequence, DeliveryOutcome> outcomes;
    std::map<Sequence, std::map<int64_t, DeliveryEnd>> ends;
    std::map<Sequence, DeliveryState> passed;
    std::set<Sequence> filtered;
    std::map<Sequence, int64_t> asked_again;
    absl::optional<bool> paused;
  };

  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void Restart() {
    writes_.clear();
    streams_.clear();
    stored_.unsettled.clear();
    for (const auto& [sequence, event] : unsettled_) stored_.unsettled.push_back(event);
    stored_.dead.clear();
    for (const auto& [sequence, event] : dead_) stored_.dead.push_back(event);
    state_ = std::make_unique<SubscriptionState>(stored_,
                                                 DeliveryPolicy{.ack_deadline = kAckDeadline,
                                                                .max_attempts = kMaxAttempts,
                                                                .max_lost_deliveries = kMaxLost},
                                                 now_);
    held_.clear();
    handed_out_.clear();
    pending_ = Write();
    asked_again_ = stored_asked_again_;
    filtered_ = stored_filtered_;
    for (const auto& [sequence, event] : unsettled_) {
      if (event.leased) ends_[sequence].emplace(event.delivery, DeliveryEnd::kGatewayRestarted);
    }
    last_number_ = stored_.position.last_delivery;
    paused_ = stored_.control.pause_time.has_value();
    Trim();
  }

  // Subjects are sequences.
  std::string Settings() const {
    v1::SubscriptionSettings settings;
    settings.set_max_attempts(kMaxAttempts);
    for (Sequence s = 1; s <= kEvents && !filtered_.empty(); ++s) {
      if (!filtered_.contains(s)) settings.mutable_filter()->add_subjects(absl::StrCat(s));
    }
    return settings.SerializeAsString();
  }

  // Retention has removed what is below earliest_.
  Loss Trim() {
    const auto before = state_->unsettled_events();
    const Sequence position = state_->position();
    const Loss loss = state_->DropBefore(earliest_, true, now_);
    for (Sequence s = 1; s < earliest_; ++s) {
      if (before.contains(s)) {
        pending_.outcomes[s] = DeliveryOutcome::kLost;
      } else if (s > position) {
        pending_.passed[s] = DeliveryState::kLost;
      }
    }
    NoteEnds([](Sequence, const DeliveryId&) { return DeliveryEnd::kEventRemoved; });
    return loss;
  }

  // What was handed out and holds its event no more has ended in the way that `how` says.
  template <typename How>
  void NoteEnds(How how) {
    for (auto at = handed_out_.begin(); at != handed_out_.end();) {
      if (state_->Holds(at->second.id)) {
        ++at;
        continue;
      }
      pending_.ends[at->first][at->second.id.number] = how(at->first, at->second.id);
      at = handed_out_.erase(at);
    }
  }
  void NoteEnds(DeliveryEnd how) {
    NoteEnds([how](Sequence, const DeliveryId&) { return how; });
  }

  // A polite end counts nothing; an end that takes leases with it counts each that was handed out.
  void Detach(AttachmentId stream, bool lost) {
    streams_.erase(stream);
    for (const auto& [sequence, out] : handed_out_) {
      if (lost && out.stream == stream && state_->Holds(out.id)) lost_.insert(sequence);
    }
    state_->Detach(stream, lost ? DeliveryCause::kStreamLost : DeliveryCause::kStreamEnded, false,
                   now_, random_);
    NoteEnds(lost ? DeliveryEnd::kStreamLost : DeliveryEnd::kStreamEnded);
  }

  // Four streams of two names.
  void AttachOrDetach() {
    const AttachmentId stream = 1 + Pick(4);
    if (streams_.contains(stream)) {
      Detach(stream, /*lost=*/Pick(2) == 0);
    } else {
      state_->Attach(stream, stream % 2 == 0 ? "even" : "odd", {.max_messages = kMaxMessages});
      streams_.insert(stream);
    }
  }

  void Assign() {
    const std::vector<AttachmentId> ready(streams_.begin(), streams_.end());
    const Sequence position = state_->position();
    const bool wants = state_->WantsOffers(ready);
    EXPECT_FALSE(wants && paused_) << "what is paused reads on";
    if (wants) {
      const Sequence next = state_->offered_to() + 1;
      if (next <= kEvents && filtered_.contains(next)) {
        state_->Offer({}, next);
        passed_.insert(next);
      } else if (next <= kEvents) {
        state_->Offer({{.sequence = next}}, next);
      }
    }
    leases_ = state_->Assign(ready, 10, 1000, now_,
                             [](Sequence, bool) { return absl::optional<int64_t>(1); });
    for (Sequence s = position + 1; s <= state_->position(); ++s) {
      if (filtered_.contains(s) && !state_->unsettled_events().contains(s)) {
        pending_.passed[s] = DeliveryState::kFiltered;
      }
    }
    EXPECT_TRUE(leases_.empty() || !paused_) << "what is paused hands out";
    for (const Lease& lease : leases_) last_number_ = std::max(last_number_, lease.id.number);
    // One that cannot be read goes back.
    if (!leases_.empty() && Pick(5) == 0) {
      state_->ReturnLease(leases_.back().id, now_);
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
      if (sequence < earliest_ && sequence <= state_->position()) ++expected;
    }
    EXPECT_EQ(Trim().events, expected);
  }

  DeliveryId AnyId() {
    if (known_.empty() || Pick(20) == 0) return {1 + Pick(kEvents), 1 + Pick(50)};
    return known_[static_cast<size_t>(Pick(static_cast<int>(known_.size())))];
  }

  void Step() {
    leases_.clear();
    const auto before = state_->unsettled_events();
    std::set<Sequence> counted;
    lost_.clear();
    switch (Pick(17)) {
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
        const bool was_dead = state_->IsDead(id.sequence);
        const AckOutcome outcome = state_->Ack(id, now_);
        if (IsOfBefore(id)) {
          CheckIsVoid(outcome);
          EXPECT_EQ(state_->IsDead(id.sequence), was_dead) << "of event " << id.sequence;
          EXPECT_EQ(state_->unsettled_events().contains(id.sequence), before.contains(id.sequence))
              << "of event " << id.sequence;
        }
        if (outcome != AckOutcome::kOk) break;
        pending_.acked.insert(id.sequence);
        pending_.outcomes[id.sequence] = DeliveryOutcome::kAcked;
        NoteEnds([id](Sequence, const DeliveryId& held) {
          return held.number == id.number ? DeliveryEnd::kAcked : DeliveryEnd::kSettled;
        });
        break;
      }
      case 6:
        Nack(counted);
        break;
      case 7:
        Extend();
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
          Seek(std::max<Sequence>(earliest_ - 1, Pick(kEvents + 1)));
        } else {
          const Sequence sequence = 1 + Pick(kEvents);
          if (state_->Redrive(sequence, earliest_, now_) ==
              SubscriptionState::RedriveOutcome::kRedriven) {
            pending_.redriven = sequence;
            pending_.outcomes[sequence] = DeliveryOutcome::kOpen;
            EXPECT_GE(sequence, earliest_) << "its event is gone";
            EXPECT_TRUE(state_->unsettled_events().contains(sequence)) << "it would never come";
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
      case 14:
        // Another filter, which may not admit what comes next.
        if (filtered_.empty() && Pick(4) == 0) {
          filtered_.insert(1 + Pick(kEvents));
        } else {
          filtered_.clear();
        }
        state_->NoteNewFilter(Settings(), now_);
        state_->ForgetOffers();
        break;
      case 15:
        if (!paused_ && Pick(2) == 0) break;  // It is not paused for long.
        paused_ = !paused_;
        state_->SetPaused(paused_);
        pending_.paused = paused_;
        break;
      case 16:
        Redeliver(before);
        break;
    }
    CheckCounted(before, counted);
    TakeChanges();
    for (int commits = Pick(3); commits > 0; --commits) Commit();
  }

  void TakeChanges() {
    pending_.changes = state_->TakeChanges();
    for (const DeadEvent& dead : pending_.changes.dead) {
      pending_.outcomes[dead.sequence] = DeliveryOutcome::kDead;
    }
    pending_.leases = leases_;
    pending_.filtered = filtered_;
    pending_.asked_again = asked_again_;
    writes_.push_back(std::exchange(pending_, Write()));
  }

  void Seek(Sequence to) {
    const auto before = state_->unsettled_events();
    const Sequence from = state_->position();
    state_->Seek(to, now_);
    pending_.seek = true;
    for (Sequence s = 1; s <= to; ++s) {
      const auto taken = before.find(s);
      if (taken != before.end()) {
        // What was asked for again, and not delivered since, is what it was before.
        const bool is_as_before =
            taken->second.cause == DeliveryCause::kReplayed && taken->second.delivery == 0;
        if (!is_as_before) pending_.outcomes[s] = DeliveryOutcome::kSkipped;
      } else if (s > from) {
        pending_.passed[s] = DeliveryState::kSkipped;
      }
    }
    NoteEnds(DeliveryEnd::kSeek);
  }

  template <typename Events>
  void Redeliver(const Events& before) {
    using Outcome = SubscriptionState::RedeliverOutcome;
    const Sequence sequence = 1 + Pick(kEvents);
    const bool was_dead = state_->IsDead(sequence);
    const Outcome outcome = state_->Redeliver({.sequence = sequence}, earliest_, now_);
    Outcome expected = Outcome::kRedelivered;
    if (before.contains(sequence)) expected = Outcome::kUnsettled;
    if (sequence > state_->position()) expected = Outcome::kNotReached;
    if (sequence < earliest_) expected = Outcome::kEventRemoved;
    EXPECT_EQ(outcome, expected);
    if (outcome != Outcome::kRedelivered) return;
    pending_.redriven = sequence;
    if (was_dead) pending_.outcomes[sequence] = DeliveryOutcome::kOpen;
    EXPECT_TRUE(state_->unsettled_events().contains(sequence)) << "it would never come";
    EXPECT_FALSE(state_->IsDead(sequence));
    asked_again_[sequence] = last_number_;
  }

  // Whether it is of a delivery from before its event was asked for again.
  bool IsOfBefore(const DeliveryId& id) const {
    const auto asked = asked_again_.find(id.sequence);
    return asked != asked_again_.end() && id.number <= asked->second;
  }
  static void CheckIsVoid(AckOutcome outcome) {
    EXPECT_TRUE(outcome == AckOutcome::kAlready || outcome == AckOutcome::kUnknown)
        << "a delivery of before had a say in what was asked for again: "
        << static_cast<int>(outcome);
  }

  void Nack(std::set<Sequence>& counted) {
    const DeliveryId id = AnyId();
    const NackRequest nack{.reason = "no", .dead_letter = Pick(4) == 0};
    const AckOutcome outcome = state_->Nack(id, nack, now_, random_);
    if (IsOfBefore(id)) CheckIsVoid(outcome);
    if (outcome != AckOutcome::kOk) return;
    counted.insert(id.sequence);
    NoteEnds(nack.dead_letter ? DeliveryEnd::kConsumerDecided : DeliveryEnd::kNacked);
  }

  void Extend() {
    const DeliveryId id = AnyId();
    const auto out = handed_out_.find(id.sequence);
    const AckOutcome outcome = state_->Extend(id, absl::Minutes(5), now_);
    if (IsOfBefore(id)) CheckIsVoid(outcome);
    if (outcome != AckOutcome::kOk) return;
    ASSERT_TRUE(out != handed_out_.end() && out->second.id.number == id.number)
        << "a lease was extended that nobody had";
    out->second.until = now_.monotonic + absl::Minutes(5);
  }

  // Of what is unsettled now, that which was in `before` has one attempt more exactly if it is in
  // `counted` and its lease ended, and one lost delivery more exactly if it is in lost_; the rest
  // has none. A polite end, a seek and a restart count nothing.
  template <typename Events>
  void CheckCounted(const Events& before, const std::set<Sequence>& counted) {
    for (const auto& [sequence, event] : state_->unsettled_events()) {
      const auto found = before.find(sequence);
      int expected = found == before.end() ? 0 : found->second.attempts;
      if (counted.contains(sequence) && !event.leased) ++expected;
      EXPECT_EQ(event.attempts, expected) << "of event " << sequence;
      const int lost_before = found == before.end() ? 0 : found->second.lost;
      EXPECT_EQ(event.lost, lost_before + (lost_.contains(sequence) ? 1 : 0))
          << "of event " << sequence;
    }
    for (const Sequence sequence : lost_) {
      EXPECT_TRUE(state_->unsettled_events().contains(sequence) ||
                  (state_->IsDead(sequence) && before.at(sequence).lost == kMaxLost))
          << "event " << sequence << " was lost with its stream and forgotten";
    }
  }

  void Pass(absl::Duration duration) {
    now_.wall += duration;
    now_.monotonic += duration;
    std::set<Sequence> held;
    const auto before = state_->unsettled_events();
    for (const auto& [sequence, event] : before) {
      const auto out = handed_out_.find(sequence);
      const bool is_out =
          out != handed_out_.end() && out->second.id.number == event.delivery && event.leased;
      if (event.leased && (!is_out || now_.monotonic < out->second.until)) held.insert(sequence);
    }
    state_->Tick(now_, random_);
    NoteEnds(DeliveryEnd::kDeadlinePassed);
    for (const Sequence sequence : held) {
      EXPECT_TRUE(state_->Holds({sequence, before.at(sequence).delivery}))
          << "the lease of event " << sequence << " ended before its time";
    }
  }

  void Commit() {
    if (writes_.empty()) return;
    const Write write = std::move(writes_.front());
    writes_.pop_front();
    Apply(write.changes);
    if (write.paused.has_value()) {
      stored_.control.pause_time = absl::nullopt;
      if (*write.paused) stored_.control.pause_time = now_.wall;
    }
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
    for (const auto& [sequence, outcome] : write.outcomes) outcomes_[sequence] = outcome;
    for (const auto& [sequence, ends] : write.ends) {
      for (const auto& [number, how] : ends) ends_[sequence][number] = how;
    }
    for (const auto& [sequence, state] : write.passed) passed_as_[sequence] = state;
    stored_filtered_ = write.filtered;
    stored_asked_again_ = write.asked_again;
    CheckOutcomes();
    for (const Lease& lease : write.leases) Hand(lease);
  }

  void CheckOutcomes() {
    for (const auto& [sequence, outcome] : outcomes_) {
      ASSERT_TRUE(history_.contains(sequence)) << "nothing is remembered of event " << sequence;
      EXPECT_EQ(history_[sequence].outcome, outcome) << "of event " << sequence;
    }
    for (const auto& [sequence, history] : history_) {
      EXPECT_TRUE(outcomes_.contains(sequence) || history.outcome == DeliveryOutcome::kOpen)
          << "event " << sequence << " has an outcome that nothing led to";
    }
  }

  // At the end, when all that was interrupted has been noted.
  void CheckHistory() {
    for (const auto& [sequence, ends] : ends_) {
      const DeliveryHistory& history = history_[sequence];
      EXPECT_EQ(history.count, static_cast<int64_t>(ends.size())) << "of event " << sequence;
      EXPECT_EQ(history.attempts.size(),
                std::min<size_t>(ends.size(), DeliveryHistory::kMaxAttempts));
      for (const DeliveryAttempt& attempt : history.attempts) {
        const auto end = ends.find(attempt.delivery);
        ASSERT_TRUE(end != ends.end()) << "event " << sequence << " never had such a delivery";
        EXPECT_EQ(attempt.how, end->second) << "of event " << sequence;
        EXPECT_FALSE(attempt.consumer.empty());
        EXPECT_EQ(attempt.reason, attempt.how == DeliveryEnd::kNacked ||
                                          attempt.how == DeliveryEnd::kConsumerDecided
                                      ? "no"
                                      : "");
      }
    }
    for (const auto& [sequence, history] : history_) {
      EXPECT_EQ(history.count > 0, ends_.contains(sequence)) << "of event " << sequence;
    }
  }

  void CheckExplanations() {
    for (Sequence sequence = 1; sequence <= kEvents; ++sequence) {
      StoredExplanation stored;
      stored.position = stored_.position.position;
      stored.delivery.sequence = sequence;
      if (dead_.contains(sequence)) stored.delivery.dead = dead_[sequence];
      if (history_.contains(sequence)) stored.delivery.history = history_[sequence];
      stored.moves = moves_;
      StoredEvent event;
      event.subject = absl::StrCat(sequence);
      const DeliveryExplanation explanation =
          ExplainDelivery({.sequence = sequence,
                           .event = &event,
                           .stored = stored,
                           .position = state_->position(),
                           .filter = EventFilter(),
                           .place = state_->PlaceOf(sequence, now_)});
      EXPECT_EQ(static_cast<int>(explanation.state), static_cast<int>(Expected(sequence)))
          << "of event " << sequence;
      if (explanation.state == DeliveryState::kFiltered) {
        EXPECT_EQ(explanation.filtered_by, FilterList::kSubjects);
      }
    }
  }

  DeliveryState Expected(Sequence sequence) const {
    // Also if it was taken again after a seek back, and skipped or lost then.
    if (dead_.contains(sequence)) return DeliveryState::kDead;
    const auto outcome = outcomes_.find(sequence);
    if (outcome != outcomes_.end()) {
      switch (outcome->second) {
        case DeliveryOutcome::kAcked:
          return DeliveryState::kAcked;
        case DeliveryOutcome::kDead:
          return DeliveryState::kDead;
        case DeliveryOutcome::kLost:
          return DeliveryState::kLost;
        case DeliveryOutcome::kSkipped:
          return DeliveryState::kSkipped;
        default:
          break;
      }
    }
    const auto passed = passed_as_.find(sequence);
    return passed != passed_as_.end() ? passed->second : DeliveryState::kNotRemembered;
  }

  // The consumer gets it.
  void Hand(const Lease& lease) {
    const absl::optional<absl::Time> until = state_->HandOut(lease.id, now_);
    if (!until.has_value()) return;  // Given back, or seeked past, before its commit was through.
    EXPECT_EQ(*until, now_.wall + kAckDeadline) << "what the consumer is told";
    handed_out_[lease.id.sequence] = {lease.id, lease.stream, now_.monotonic + kAckDeadline};
    EXPECT_FALSE(acked_.contains(lease.id.sequence)) << "an acked event came back";
    EXPECT_GE(lease.attempt, 1);
    EXPECT_LE(lease.lost_deliveries, kMaxLost);
    EXPECT_LE(lease.attempt, kMaxAttempts);
    const bool numbered_anew = !numbers_.insert(lease.id.number).second;
    EXPECT_FALSE(numbered_anew) << "a delivery id was given twice";
    known_.push_back(lease.id);
  }

  void Apply(const SubscriptionChanges& changes) {
    if (changes.position.has_value()) stored_.position = *changes.position;
    if (changes.forget_unsettled) unsettled_.clear();
    for (const UnsettledEvent& event : changes.unsettled) unsettled_[event.sequence] = event;
    for (const Sequence sequence : changes.settled) unsettled_.erase(sequence);
    for (const DeadEvent& event : changes.dead) dead_[event.sequence] = event;
    for (const Sequence sequence : changes.no_longer_dead) dead_.erase(sequence);
    for (const HistoryEntry& entry : changes.history) {
      history_[entry.sequence].sequence = entry.sequence;
      AddEntry(entry, history_[entry.sequence]);
    }
    for (const SubscriptionMove& move : changes.moves) moves_.push_back(move);
    CheckAttempts();
  }

  void CheckAttempts() {
    for (const auto& [sequence, event] : unsettled_) {
      ASSERT_LT(event.attempts, kMaxAttempts) << "attempts went beyond the last";
      ASSERT_LE(event.lost, kMaxLost) << "lost deliveries went beyond the last";
      EXPECT_TRUE(sequence <= stored_.position.position ||
                  (event.cause == DeliveryCause::kRedriven && !event.leased));
    }
    for (const auto& [sequence, event] : dead_) {
      EXPECT_TRUE(event.attempts == kMaxAttempts ||
                  event.cause == DeliveryCause::kConsumerDecided ||
                  (event.cause == DeliveryCause::kStreamLost && event.lost == kMaxLost + 1))
          << "dead after " << event.attempts << " attempts, " << event.lost << " lost";
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
    for (const AttachmentId stream : std::set<AttachmentId>(streams_))
      Detach(stream, /*lost=*/false);
    filtered_.clear();
    state_->NoteNewFilter(Settings(), now_);
    state_->ForgetOffers();
    paused_ = false;
    state_->SetPaused(false);
    streams_ = {9};
    state_->Attach(9, "last", {.max_messages = kMaxMessages});
    for (int round = 0; round < 100 && !Done(); ++round) {
      Pass(absl::Hours(13));
      Assign();
      TakeChanges();
      Commit();
      const std::vector<Lease> leases = std::exchange(leases_, {});
      for (const Lease& lease : leases) {
        EXPECT_EQ(state_->Ack(lease.id, now_), AckOutcome::kOk);
        EXPECT_EQ(state_->Ack(lease.id, now_), AckOutcome::kAlready);
        pending_.acked.insert(lease.id.sequence);
        pending_.outcomes[lease.id.sequence] = DeliveryOutcome::kAcked;
      }
      NoteEnds(DeliveryEnd::kAcked);
      TakeChanges();
      Commit();
    }
    leases_.clear();
    TakeChanges();  // If it had nothing to do, the filter of the end is not stored yet.
    Commit();
    EXPECT_EQ(state_->unsettled(), 0);
    for (Sequence sequence = 1; sequence <= kEvents; ++sequence) {
      EXPECT_TRUE(acked_.contains(sequence) || state_->IsDead(sequence) || sequence < earliest_ ||
                  passed_.contains(sequence))
          << "event " << sequence << " was forgotten";
    }
    CheckHistory();
    CheckExplanations();
  }

  bool Done() const { return state_->unsettled() == 0 && state_->position() == kEvents; }

  std::mt19937_64 random_;
  Instant now_{absl::FromUnixSeconds(1'750'000'000), absl::Hours(1)};
  Sequence earliest_ = 1;  // below it retention has removed everything
  std::unique_ptr<SubscriptionState> state_;
  std::set<AttachmentId> streams_;
  std::map<std::string, int64_t> held_;  // by consumer, after the step before
  std::set<Sequence> filtered_;          // not admitted now
  bool paused_ = false;
  std::map<Sequence, int64_t> asked_again_;  // with the number of the last delivery before
  int64_t last_number_ = 0;
  std::set<Sequence> lost_;  // in this step, with their stream
  struct Out {
    DeliveryId id;
    AttachmentId stream = 0;
    absl::Duration until;
  };
  std::map<Sequence, Out> handed_out_;  // the newest delivery of each, since the start
  std::vector<Lease> leases_;
  Write pending_;             // not taken from the state yet
  std::deque<Write> writes_;  // not committed yet

  // What is committed.
  StoredSubscription stored_;
  std::map<Sequence, UnsettledEvent> unsettled_;
  std::map<Sequence, DeadEvent> dead_;
  std::set<Sequence> stored_filtered_;
  std::map<Sequence, int64_t> stored_asked_again_;
  std::set<Sequence> passed_;  // ever not admitted by a filter
  std::map<Sequence, DeliveryHistory> history_;
  std::vector<SubscriptionMove> moves_;
  // What these must say.
  std::map<Sequence, DeliveryOutcome> outcomes_;
  std::map<Sequence, std::map<int64_t, DeliveryEnd>> ends_;
  std::map<Sequence, DeliveryState> passed_as_;
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
