// What a SubscriptionState has stored, and what it shows: rows of what changed, the history of its
// events, and its state in numbers. Nothing here decides who gets what.

#include <algorithm>
#include <cmath>
#include <utility>

#include "server/delivery/subscription_state.h"
#include "server/delivery/subscription_state_time.h"

namespace hookgate {
namespace {

// How far the position may run ahead of what is stored while nothing else is written, as kLazyFor
// says for how long.
constexpr Sequence kLazyPositions = 10'000;
constexpr double kRateSeconds = 60;

double Decay(absl::Duration passed) {
  return std::exp(-absl::ToDoubleSeconds(passed) / kRateSeconds);
}

}  // namespace

void SubscriptionState::NoteAck(const std::string& name, Instant now) {
  Consumer& consumer = consumers_[name];
  // Those of one frame have one time.
  const absl::Duration passed = now.monotonic - consumer.last_ack.monotonic;
  if (passed != absl::ZeroDuration()) consumer.rate *= Decay(passed);
  consumer.rate += 1 / kRateSeconds;
  consumer.last_ack = now;
  consumer.has_acked = true;
}

void SubscriptionState::NoteEnd(Sequence sequence, DeliveryEnd how, const std::string& reason,
                                Instant now) {
  const Record& record = events_[sequence];
  if (record.holder == nullptr || record.place != Place::kLeased) return;
  history_.push_back({.sequence = sequence,
                      .time = now.wall,
                      .attempt = DeliveryAttempt{.number = record.attempts + 1,
                                                 .delivery = record.delivery,
                                                 .consumer = record.holder->consumer,
                                                 .begin = WallAt(record.last_us),
                                                 .end = now.wall,
                                                 .how = how,
                                                 .reason = reason}});
}

// With the end of the attempt that led to it, if that was noted just now.
void SubscriptionState::NoteOutcome(Sequence sequence, DeliveryOutcome outcome, Instant now) {
  NoteInterrupted(sequence);
  if (history_.empty() || history_.back().sequence != sequence ||
      history_.back().outcome.has_value()) {
    history_.push_back({.sequence = sequence, .time = now.wall});
  }
  history_.back().outcome = outcome;
  history_.back().time = now.wall;
}

DeliveryAttempt SubscriptionState::InterruptedAttempt(const std::string& consumer,
                                                      const Record& record) const {
  return {.number = record.attempts + 1,
          .delivery = record.delivery,
          .consumer = consumer,
          .begin = WallAt(record.last_us),
          .end = start_,
          .how = DeliveryEnd::kGatewayRestarted};
}

void SubscriptionState::NoteInterrupted(Sequence sequence) {
  const auto found = interrupted_.find(sequence);
  if (found == interrupted_.end()) return;
  const auto record = events_.find(sequence);
  if (record != events_.end()) {
    history_.push_back({.sequence = sequence,
                        .time = start_,
                        .attempt = InterruptedAttempt(found->second, record->second)});
  }
  interrupted_.erase(found);
}

absl::optional<UnsettledPlace> SubscriptionState::PlaceOf(Sequence sequence, Instant now) const {
  const auto found = events_.find(sequence);
  if (found == events_.end()) return absl::nullopt;
  const Record& record = found->second;
  UnsettledPlace place = {.leased = record.place == Place::kLeased,
                          .assigned = record.place == Place::kAssigned,
                          .attempt = record.attempts + 1,
                          .lost_deliveries = record.lost,
                          .delivery_time = WallAt(record.last_us),
                          .until = now.wall,
                          .cause = record.cause};
  if (record.holder != nullptr) place.consumer = record.holder->consumer;
  if (!place.assigned) place.until += absl::Microseconds(record.when_us - Us(now.monotonic));
  const auto interrupted = interrupted_.find(sequence);
  if (interrupted != interrupted_.end()) {
    place.interrupted = InterruptedAttempt(interrupted->second, record);
  }
  return place;
}

UnsettledEvent SubscriptionState::RowOf(Sequence sequence, const Record& record) const {
  UnsettledEvent row = {.sequence = sequence,
                        .bytes = record.bytes,
                        .receive_time = WallAt(record.receive_us),
                        .delivery = record.delivery,
                        .void_delivery = record.void_delivery,
                        .attempts = record.attempts,
                        .lost = record.lost,
                        .leased = record.holder != nullptr,
                        .consumer = record.holder != nullptr ? record.holder->consumer : "",
                        .due = WallAt(record.due_us),
                        .delay = absl::Microseconds(record.delay_us),
                        .cause = record.cause,
                        .nacked = record.nacked,
                        .first_delivery_time = WallAt(record.first_us),
                        .last_delivery_time = WallAt(record.last_us)};
  const auto reason = reasons_.find(sequence);
  if (reason != reasons_.end()) {
    row.nack_reason = reason->second;
  } else if (!record.nacked) {
    row.nack_reason = "";
  }
  return row;
}

SubscriptionChanges SubscriptionState::TakeChanges() {
  SubscriptionChanges changes;
  changes.forget_unsettled = std::exchange(forget_unsettled_, false);
  // About as many are taken as are settled.
  changes.settled.reserve(changed_.size());
  changes.unsettled.reserve(changed_.size() / 2 + 1);
  for (const Sequence sequence : changed_) {
    const auto found = events_.find(sequence);
    if (found == events_.end()) {
      changes.settled.push_back(sequence);
    } else {
      changes.unsettled.push_back(RowOf(sequence, found->second));
    }
  }
  for (auto& [sequence, dead] : dead_changed_) {
    if (dead.has_value()) {
      changes.dead.push_back(*std::move(dead));
    } else {
      changes.no_longer_dead.push_back(sequence);
    }
  }
  changes.history = std::exchange(history_, {});
  changes.moves = std::exchange(moves_, {});
  changed_.clear();
  dead_changed_.clear();
  reasons_.clear();
  const Sequence ahead = row_.position - stored_position_;
  if (row_changed_ || ahead >= kLazyPositions || (ahead != 0 && !changes.empty())) {
    changes.position = row_;
    stored_position_ = row_.position;
    row_changed_ = false;
  }
  return changes;
}

absl::optional<absl::Time> SubscriptionState::oldest_receive_time() const {
  if (events_.empty()) return absl::nullopt;
  return WallAt(events_.begin()->second.receive_us);
}

absl::optional<Sequence> SubscriptionState::oldest_unsettled() const {
  if (events_.empty()) return absl::nullopt;
  return events_.begin()->first;
}

std::vector<SubscriptionCondition> SubscriptionState::conditions() const {
  std::vector<SubscriptionCondition> found;
  if (in_flight_ >= static_cast<int64_t>(bounds_.max_leased)) {
    found.push_back(SubscriptionCondition::kLeasesFull);
  }
  if (events_.size() >= bounds_.max_unsettled) {
    found.push_back(SubscriptionCondition::kUnsettledFull);
  }
  if (dead_.size() >= bounds_.max_dead_letters) {
    found.push_back(SubscriptionCondition::kDeadLettersFull);
  }
  if (row_.admitted == 0 && row_.passed >= kPassedWithoutMatch) {
    found.push_back(SubscriptionCondition::kFilterAdmitsNone);
  }
  if (paused_) found.push_back(SubscriptionCondition::kPaused);
  return found;
}

std::vector<ConsumerStatus> SubscriptionState::consumers(Instant now) const {
  std::vector<ConsumerStatus> all;
  for (const auto& [name, consumer] : consumers_) {
    ConsumerStatus& status = all.emplace_back();
    status = {name, consumer.streams, consumer.messages, consumer.bytes, consumer.limits};
    if (!consumer.has_acked) continue;
    status.ack_rate = consumer.rate * Decay(now.monotonic - consumer.last_ack.monotonic);
    status.last_ack = consumer.last_ack.wall;
  }
  return all;
}

int64_t SubscriptionState::open_consumers() const {
  return std::count_if(consumers_.begin(), consumers_.end(),
                       [](const auto& consumer) { return consumer.second.streams > 0; });
}

absl::btree_map<Sequence, UnsettledEvent> SubscriptionState::unsettled_events() const {
  absl::btree_map<Sequence, UnsettledEvent> rows;
  for (const auto& [sequence, record] : events_) rows[sequence] = RowOf(sequence, record);
  return rows;
}

}  // namespace hookgate
