// What operators, bulk jobs and retention do to a SubscriptionState: they move its position, and
// events between what is settled, what is dead and what is on its way.

#include <algorithm>
#include <iterator>

#include "server/delivery/subscription_state.h"
#include "server/delivery/subscription_state_time.h"

namespace hookgate {
namespace {

// Of unsettled events that a seek or retention takes at once, so many have that in their history;
// without a bound, it might be a million rows in one commit.
constexpr size_t kMaxNoted = 10'000;

}  // namespace

void SubscriptionState::Seek(Sequence position, Instant now) {
  size_t noted = 0;
  for (auto at = events_.begin(); at != events_.end() && noted < kMaxNoted; ++at, ++noted) {
    NoteEnd(at->first, DeliveryEnd::kSeek, "", now);
    NoteInterrupted(at->first);
    // Of one that was asked for again, and not delivered since, it stays true what became of it.
    const bool is_as_before =
        at->second.cause == DeliveryCause::kReplayed && at->second.delivery == 0;
    if (at->first <= position && !is_as_before) {
      NoteOutcome(at->first, DeliveryOutcome::kSkipped, now);
    }
  }
  interrupted_.clear();
  moves_.push_back({.kind = SubscriptionMove::Kind::kSeek,
                    .from = row_.position,
                    .to = position,
                    .time = now.wall});
  events_.clear();
  leases_.clear();
  waiting_.clear();
  suspects_.clear();
  ahead_.clear();
  changed_.clear();
  forget_unsettled_ = true;
  in_flight_ = 0;
  for (auto& [id, stream] : streams_) {
    stream.leases.clear();
    stream.suspicion = 0;
  }
  for (auto at = consumers_.begin(); at != consumers_.end();) {
    at->second.messages = 0;
    at->second.bytes = 0;
    at = at->second.streams == 0 ? consumers_.erase(at) : std::next(at);
  }
  row_.position = position;
  row_.void_delivery = row_.last_delivery;
  row_changed_ = true;
  ForgetOffers();
}

SubscriptionState::RedriveOutcome SubscriptionState::Redrive(Sequence sequence, Sequence earliest,
                                                             Instant now) {
  const auto found = dead_.find(sequence);
  if (found == dead_.end()) return RedriveOutcome::kNotFound;
  if (sequence < earliest) return RedriveOutcome::kEventRemoved;
  // After a seek back it may have been taken again: then it is on its way.
  if (!events_.contains(sequence)) {
    if (events_.size() >= bounds_.max_unsettled) return RedriveOutcome::kTooMany;
    PutBack(sequence, found->second, DeliveryCause::kRedriven, now);
  }
  EraseDead(sequence);
  NoteOutcome(sequence, DeliveryOutcome::kOpen, now);
  return RedriveOutcome::kRedriven;
}

void SubscriptionState::PutBack(Sequence sequence, const DeadRecord& dead, DeliveryCause cause,
                                Instant now) {
  Record& record = Dirty(sequence);
  record.bytes = dead.bytes;
  record.receive_us = dead.receive_us;
  record.delivery = dead.delivery;
  record.void_delivery = dead.void_delivery;
  record.first_us = dead.first_us;
  record.last_us = dead.last_us;
  record.nacked = dead.nacked;
  Wait(sequence, absl::ZeroDuration(), cause, now);
}

SubscriptionState::RedeliverOutcome SubscriptionState::Redeliver(const OfferedEvent& event,
                                                                 Sequence earliest, Instant now) {
  const Sequence sequence = event.sequence;
  if (sequence < std::max(earliest, earliest_)) return RedeliverOutcome::kEventRemoved;
  if (sequence > row_.position) return RedeliverOutcome::kNotReached;
  if (events_.contains(sequence)) return RedeliverOutcome::kUnsettled;
  if (events_.size() >= bounds_.max_unsettled) return RedeliverOutcome::kTooMany;
  if (const auto dead = dead_.find(sequence); dead != dead_.end()) {
    PutBack(sequence, dead->second, DeliveryCause::kReplayed, now);
    events_[sequence].void_delivery = row_.last_delivery;
    EraseDead(sequence);
    NoteOutcome(sequence, DeliveryOutcome::kOpen, now);
    return RedeliverOutcome::kRedelivered;
  }
  reasons_.erase(sequence);
  Record& record = Dirty(sequence);
  record.receive_us = Us(event.receive_time);
  // An ack that comes late is of a delivery from before: it must not settle what is asked for now.
  record.void_delivery = row_.last_delivery;
  Wait(sequence, absl::ZeroDuration(), DeliveryCause::kReplayed, now);
  return RedeliverOutcome::kRedelivered;
}

size_t SubscriptionState::room_for_jobs() const {
  const size_t most = std::min(bounds_.max_unsettled_by_jobs, bounds_.max_unsettled);
  return most - std::min(most, events_.size());
}

bool SubscriptionState::has_much_room_for_jobs() const {
  const size_t most = std::min(bounds_.max_unsettled_by_jobs, bounds_.max_unsettled);
  return room_for_jobs() >= std::max<size_t>(most / 2, 1);
}

bool SubscriptionState::Discard(Sequence sequence, Instant now) {
  if (!EraseDead(sequence)) return false;
  ++counts_.discarded;
  // After a seek back it may be on its way once more: then that goes on.
  if (!events_.contains(sequence)) NoteOutcome(sequence, DeliveryOutcome::kDiscarded, now);
  return true;
}

bool SubscriptionState::EraseDead(Sequence sequence) {
  if (dead_.erase(sequence) == 0) return false;
  dead_changed_[sequence] = absl::nullopt;
  return true;
}

Loss SubscriptionState::DropBefore(Sequence earliest, bool admits_all, Instant now) {
  earliest_ = std::max(earliest_, earliest);
  Loss loss;
  int64_t redriven = 0;  // Of those beyond the position.
  while (!events_.empty() && events_.begin()->first < earliest) {
    const Sequence sequence = events_.begin()->first;
    if (sequence > row_.position) ++redriven;
    if (loss.events < static_cast<int64_t>(kMaxNoted)) {
      NoteEnd(sequence, DeliveryEnd::kEventRemoved, "", now);
      NoteOutcome(sequence, DeliveryOutcome::kLost, now);
    }
    interrupted_.erase(sequence);
    Remove(sequence);
    ++loss.events;
  }
  if (row_.position + 1 < earliest) {
    moves_.push_back({.kind = SubscriptionMove::Kind::kLost,
                      .from = row_.position,
                      .to = earliest - 1,
                      .time = now.wall});
    const int64_t beyond = earliest - 1 - row_.position - redriven;
    loss.events += beyond;
    if (!admits_all) loss.unread = beyond;
    row_.position = earliest - 1;
    ForgetOffers();
  }
  counts_.lost += loss.events;
  row_.lost += loss.events;
  row_.lost_unread += loss.unread;
  row_changed_ = row_changed_ || loss.events > 0;
  return loss;
}

}  // namespace hookgate
