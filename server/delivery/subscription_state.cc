#include "server/delivery/subscription_state.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/random/random.h"
#include "absl/strings/string_view.h"

namespace hookgate {
namespace {

// How far the position may run ahead of what is stored while nothing else is written: events that
// the filter does not admit are looked at again after a restart, which costs less than a commit
// each.
constexpr Sequence kLazyPositions = 1000;
constexpr double kRateSeconds = 60;

// To kMaxReasonBytes, between characters: a message that carries it must be valid UTF-8.
absl::string_view Shortened(absl::string_view reason) {
  if (reason.size() <= SubscriptionState::kMaxReasonBytes) return reason;
  size_t end = SubscriptionState::kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  return reason.substr(0, end);
}

double Decay(absl::Duration passed) {
  return std::exp(-absl::ToDoubleSeconds(passed) / kRateSeconds);
}

}  // namespace

absl::Duration RedeliveryDelay(const DeliveryPolicy& policy, int attempt, absl::BitGenRef random) {
  absl::Duration ceiling = policy.minimum_backoff;
  for (int i = 1; i < attempt && ceiling < policy.maximum_backoff; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, policy.maximum_backoff);
  return policy.minimum_backoff +
         absl::Uniform(random, 0.0, 1.0) * (ceiling - policy.minimum_backoff);
}

SubscriptionState::SubscriptionState(const StoredSubscription& stored, const DeliveryPolicy& policy,
                                     Instant now)
    : policy_(policy),
      row_(stored.position),
      offered_to_(stored.position.position),
      stored_position_(stored.position.position) {
  for (UnsettledEvent event : stored.unsettled) {
    absl::Duration wait = absl::ZeroDuration();
    if (event.leased) {
      event.leased = false;
      event.due = now.wall;
      event.delay = absl::ZeroDuration();
      event.cause = DeliveryCause::kGatewayRestarted;
    } else {
      wait = std::clamp(event.due - now.wall, absl::ZeroDuration(), event.delay);
    }
    const Sequence sequence = event.sequence;
    unsettled_[sequence] = {.when = now.monotonic + wait};
    waiting_.insert({now.monotonic + wait, sequence});
    stored_view_[sequence] = std::move(event);
  }
  for (const DeadEvent& event : stored.dead) dead_[event.sequence] = event;
}

bool SubscriptionState::Attach(StreamId stream, const std::string& name,
                               const ConsumerLimits& limits) {
  if (streams_.size() >= kMaxConsumers) return false;
  if (!consumers_.contains(name) && consumers_.size() >= kMaxConsumers) return false;
  streams_[stream] = name;
  Consumer& consumer = consumers_[name];
  consumer.limits = limits;
  ++consumer.streams;
  return true;
}

void SubscriptionState::SetLimits(StreamId stream, const ConsumerLimits& limits) {
  const auto found = streams_.find(stream);
  if (found != streams_.end()) consumers_[found->second].limits = limits;
}

void SubscriptionState::Detach(StreamId stream, DeliveryCause why, bool keep_leases, Instant now) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  const std::string name = found->second;
  streams_.erase(found);
  for (auto& [sequence, entry] : unsettled_) {
    if (entry.stream != stream) continue;
    if (keep_leases) {
      entry.stream = 0;
    } else {
      Wait(sequence, absl::ZeroDuration(), why, now);
    }
  }
  --consumers_[name].streams;
  ForgetIdle(name);
}

void SubscriptionState::Offer(absl::Span<const OfferedEvent> events, Sequence scanned_to) {
  offered_.insert(offered_.end(), events.begin(), events.end());
  offered_to_ = std::max(offered_to_, scanned_to);
  if (offered_.empty()) row_.position = offered_to_;
}

void SubscriptionState::ForgetOffers() {
  offered_.clear();
  offered_to_ = row_.position;
}

bool SubscriptionState::WantsOffers(absl::Span<const StreamId> ready) const {
  if (!offered_.empty() || unsettled_.size() >= kMaxUnsettled) return false;
  return std::any_of(ready.begin(), ready.end(), [this](StreamId stream) {
    const auto found = streams_.find(stream);
    return found != streams_.end() && HasCredit(consumers_.at(found->second), 0);
  });
}

bool SubscriptionState::HasCredit(const Consumer& consumer, int64_t bytes) const {
  if (consumer.messages >= consumer.limits.max_messages) return false;
  if (consumer.limits.max_bytes <= 0) return false;
  return consumer.messages == 0 || consumer.bytes + bytes <= consumer.limits.max_bytes;
}

absl::optional<Sequence> SubscriptionState::NextDue(Instant now) const {
  if (waiting_.empty() || waiting_.begin()->first > now.monotonic) return absl::nullopt;
  return waiting_.begin()->second;
}

std::vector<Lease> SubscriptionState::Assign(absl::Span<const StreamId> ready, size_t max_messages,
                                             int64_t max_bytes, Instant now) {
  struct Share {
    StreamId stream;
    Consumer* consumer;
    size_t messages = 0;
    int64_t bytes = 0;
  };
  std::vector<Share> shares;
  for (const StreamId stream : ready) {
    const auto found = streams_.find(stream);
    if (found != streams_.end()) shares.push_back({stream, &consumers_[found->second]});
  }
  std::vector<Lease> leases;
  while (true) {
    const absl::optional<Sequence> due = NextDue(now);
    const bool may_take = !offered_.empty() && unsettled_.size() < kMaxUnsettled;
    if (!due.has_value() && !may_take) return leases;
    const int64_t bytes = due.has_value() ? stored_view_[*due].bytes : offered_.front().bytes;
    Share* best = nullptr;
    for (Share& share : shares) {
      const bool full =
          share.messages >= max_messages || (share.messages > 0 && share.bytes + bytes > max_bytes);
      if (full || !HasCredit(*share.consumer, bytes)) continue;
      if (best == nullptr || std::pair(share.consumer->messages, share.messages) <
                                 std::pair(best->consumer->messages, best->messages)) {
        best = &share;
      }
    }
    if (best == nullptr) return leases;
    ++best->messages;
    best->bytes += bytes;
    Sequence sequence = 0;
    if (due.has_value()) {
      sequence = *due;
    } else {
      const OfferedEvent event = offered_.front();
      offered_.pop_front();
      sequence = event.sequence;
      row_.position = offered_.empty() ? offered_to_ : sequence;
      stored_view_[sequence] = {.sequence = sequence,
                                .bytes = event.bytes,
                                .receive_time = event.receive_time,
                                .first_delivery_time = now.wall};
      unsettled_[sequence] = {};
    }
    leases.push_back(MakeLease(sequence, best->stream, now));
  }
}

Lease SubscriptionState::MakeLease(Sequence sequence, StreamId stream, Instant now) {
  UnsettledEvent& event = Dirty(sequence);
  Entry& entry = unsettled_[sequence];
  waiting_.erase({entry.when, sequence});
  entry = {now.monotonic + policy_.ack_deadline, stream, streams_[stream]};
  leases_.insert({entry.when, sequence});
  Consumer& consumer = consumers_[entry.consumer];
  ++consumer.messages;
  consumer.bytes += event.bytes;
  event.leased = true;
  event.delivery = ++row_.last_delivery;
  row_changed_ = true;
  event.last_delivery_time = now.wall;
  return {.stream = stream,
          .id = {sequence, event.delivery},
          .attempt = event.attempts + 1,
          .expire_time = now.wall + policy_.ack_deadline,
          .cause = event.cause,
          .nack_reason = event.nack_reason};
}

bool SubscriptionState::Holds(const DeliveryId& id) const {
  const auto found = stored_view_.find(id.sequence);
  return found != stored_view_.end() && found->second.leased && found->second.delivery == id.number;
}

void SubscriptionState::GiveBack(const DeliveryId& id, Instant now) {
  if (!Holds(id)) return;
  Wait(id.sequence, absl::ZeroDuration(), stored_view_[id.sequence].cause, now);
}

AckOutcome SubscriptionState::OutcomeOfSettled(const DeliveryId& id) const {
  const bool never_given = id.number <= row_.void_delivery || id.number > row_.last_delivery ||
                           id.sequence <= 0 || id.sequence > row_.position;
  return never_given ? AckOutcome::kUnknown : AckOutcome::kAlready;
}

AckOutcome SubscriptionState::Ack(const DeliveryId& id, Instant now) {
  if (OutcomeOfSettled(id) == AckOutcome::kUnknown) return AckOutcome::kUnknown;
  const auto dead = dead_.find(id.sequence);
  const auto found = stored_view_.find(id.sequence);
  if (found == stored_view_.end()) {
    if (dead == dead_.end() || id.number > dead->second.delivery) return AckOutcome::kAlready;
    dead_.erase(dead);
    dead_changed_.insert(id.sequence);
    return AckOutcome::kOk;
  }
  if (id.number > found->second.delivery) return AckOutcome::kUnknown;
  const std::string consumer = unsettled_[id.sequence].consumer;
  if (id.number == found->second.delivery && !consumer.empty()) NoteAck(consumer, now);
  Remove(id.sequence);
  Discard(id.sequence);  // Of before a seek: it is handled now.
  return AckOutcome::kOk;
}

AckOutcome SubscriptionState::Nack(const DeliveryId& id, const NackRequest& nack, Instant now,
                                   absl::BitGenRef random) {
  const AckOutcome settled = OutcomeOfSettled(id);
  if (settled == AckOutcome::kUnknown) return settled;
  const auto found = stored_view_.find(id.sequence);
  if (found == stored_view_.end()) {
    return dead_.contains(id.sequence) ? AckOutcome::kLeaseLost : settled;
  }
  if (id.number > found->second.delivery) return AckOutcome::kUnknown;
  if (!found->second.leased || id.number != found->second.delivery) return AckOutcome::kLeaseLost;
  found->second.nack_reason = std::string(Shortened(nack.reason));
  if (nack.dead_letter) {
    ++found->second.attempts;
    if (!Bury(id.sequence, DeliveryCause::kConsumerDecided, now)) {
      Wait(id.sequence, policy_.maximum_backoff, DeliveryCause::kNacked, now);
    }
  } else {
    Fail(id.sequence, DeliveryCause::kNacked, nack.delay, now, random);
  }
  return AckOutcome::kOk;
}

AckOutcome SubscriptionState::Extend(const DeliveryId& id, absl::optional<absl::Duration> deadline,
                                     Instant now) {
  const AckOutcome settled = OutcomeOfSettled(id);
  if (settled == AckOutcome::kUnknown) return settled;
  const auto found = stored_view_.find(id.sequence);
  if (found == stored_view_.end()) {
    return dead_.contains(id.sequence) ? AckOutcome::kLeaseLost : settled;
  }
  if (id.number > found->second.delivery) return AckOutcome::kUnknown;
  if (!found->second.leased || id.number != found->second.delivery) return AckOutcome::kLeaseLost;
  Entry& entry = unsettled_[id.sequence];
  leases_.erase({entry.when, id.sequence});
  entry.when =
      now.monotonic + std::clamp(deadline.value_or(policy_.ack_deadline), kMinLease, kMaxDelay);
  leases_.insert({entry.when, id.sequence});
  return AckOutcome::kOk;
}

void SubscriptionState::Tick(Instant now, absl::BitGenRef random) {
  while (!leases_.empty() && leases_.begin()->first <= now.monotonic) {
    Fail(leases_.begin()->second, DeliveryCause::kDeadlinePassed, absl::nullopt, now, random);
  }
}

// What is due and not assigned waits for a consumer, not for the clock.
absl::Duration SubscriptionState::NextTick(Instant now) const {
  absl::Duration next = absl::InfiniteDuration();
  if (!leases_.empty()) next = leases_.begin()->first;
  if (streams_.empty()) return next;
  const auto not_due = waiting_.upper_bound({now.monotonic, std::numeric_limits<Sequence>::max()});
  return not_due == waiting_.end() ? next : std::min(next, not_due->first);
}

void SubscriptionState::Fail(Sequence sequence, DeliveryCause cause,
                             absl::optional<absl::Duration> delay, Instant now,
                             absl::BitGenRef random) {
  const int attempts = ++Dirty(sequence).attempts;
  if (attempts >= policy_.max_attempts) {
    if (Bury(sequence, cause, now)) return;
    delay = policy_.maximum_backoff;  // No room for it there: it must not get lost.
  }
  const absl::Duration wait = delay.value_or(RedeliveryDelay(policy_, attempts, random));
  Wait(sequence, std::clamp(wait, absl::ZeroDuration(), kMaxDelay), cause, now);
}

void SubscriptionState::Wait(Sequence sequence, absl::Duration delay, DeliveryCause cause,
                             Instant now) {
  EndLease(sequence);
  UnsettledEvent& event = Dirty(sequence);
  event.leased = false;
  event.due = now.wall + delay;
  event.delay = delay;
  event.cause = cause;
  unsettled_[sequence] = {.when = now.monotonic + delay};
  waiting_.insert({now.monotonic + delay, sequence});
}

// Also takes it from those that wait.
void SubscriptionState::EndLease(Sequence sequence) {
  const Entry entry = unsettled_[sequence];
  waiting_.erase({entry.when, sequence});
  if (leases_.erase({entry.when, sequence}) == 0) return;
  Consumer& consumer = consumers_[entry.consumer];
  --consumer.messages;
  consumer.bytes -= stored_view_[sequence].bytes;
  ForgetIdle(entry.consumer);
}

bool SubscriptionState::Bury(Sequence sequence, DeliveryCause cause, Instant now) {
  if (dead_.size() >= kMaxDeadLetters) return false;
  const UnsettledEvent event = stored_view_[sequence];
  dead_[sequence] = {.sequence = sequence,
                     .delivery = event.delivery,
                     .attempts = event.attempts,
                     .cause = cause,
                     .nack_reason = event.nack_reason,
                     .bytes = event.bytes,
                     .receive_time = event.receive_time,
                     .first_delivery_time = event.first_delivery_time,
                     .last_delivery_time = event.last_delivery_time,
                     .dead_letter_time = now.wall};
  dead_changed_.insert(sequence);
  Remove(sequence);
  return true;
}

void SubscriptionState::Remove(Sequence sequence) {
  EndLease(sequence);
  unsettled_.erase(sequence);
  stored_view_.erase(sequence);
  changed_.insert(sequence);
}

void SubscriptionState::NoteAck(const std::string& name, Instant now) {
  Consumer& consumer = consumers_[name];
  consumer.rate =
      consumer.rate * Decay(now.monotonic - consumer.last_ack.monotonic) + 1 / kRateSeconds;
  consumer.last_ack = now;
  consumer.has_acked = true;
}

void SubscriptionState::ForgetIdle(const std::string& name) {
  const auto found = consumers_.find(name);
  if (found == consumers_.end()) return;
  if (found->second.streams == 0 && found->second.messages == 0) consumers_.erase(found);
}

UnsettledEvent& SubscriptionState::Dirty(Sequence sequence) {
  changed_.insert(sequence);
  return stored_view_[sequence];
}

void SubscriptionState::Seek(Sequence position) {
  while (!unsettled_.empty()) Remove(unsettled_.begin()->first);
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
  // After a seek it may be on its way, or come, anyhow.
  if (!stored_view_.contains(sequence) && sequence <= row_.position) {
    if (unsettled_.size() >= kMaxUnsettled) return RedriveOutcome::kTooMany;
    const DeadEvent& dead = found->second;
    stored_view_[sequence] = {.sequence = sequence,
                              .bytes = dead.bytes,
                              .receive_time = dead.receive_time,
                              .delivery = dead.delivery,
                              .nack_reason = dead.nack_reason,
                              .first_delivery_time = dead.first_delivery_time,
                              .last_delivery_time = dead.last_delivery_time};
    Wait(sequence, absl::ZeroDuration(), DeliveryCause::kRedriven, now);
  }
  dead_.erase(found);
  dead_changed_.insert(sequence);
  return RedriveOutcome::kRedriven;
}

bool SubscriptionState::Discard(Sequence sequence) {
  if (dead_.erase(sequence) == 0) return false;
  dead_changed_.insert(sequence);
  return true;
}

int64_t SubscriptionState::Overtaken(Sequence earliest) {
  int64_t lost = 0;
  while (!unsettled_.empty() && unsettled_.begin()->first < earliest) {
    Remove(unsettled_.begin()->first);
    ++lost;
  }
  if (row_.position + 1 < earliest) {
    lost += earliest - 1 - row_.position;
    row_.position = earliest - 1;
    ForgetOffers();
  }
  row_.lost += lost;
  row_changed_ = row_changed_ || lost > 0;
  return lost;
}

SubscriptionChanges SubscriptionState::TakeChanges() {
  SubscriptionChanges changes;
  for (const Sequence sequence : changed_) {
    const auto found = stored_view_.find(sequence);
    if (found == stored_view_.end()) {
      changes.settled.push_back(sequence);
    } else {
      changes.unsettled.push_back(found->second);
    }
  }
  for (const Sequence sequence : dead_changed_) {
    const auto found = dead_.find(sequence);
    if (found == dead_.end()) {
      changes.no_longer_dead.push_back(sequence);
    } else {
      changes.dead.push_back(found->second);
    }
  }
  changed_.clear();
  dead_changed_.clear();
  const Sequence ahead = row_.position - stored_position_;
  if (row_changed_ || ahead >= kLazyPositions || (ahead != 0 && !changes.empty())) {
    changes.position = row_;
    stored_position_ = row_.position;
    row_changed_ = false;
  }
  return changes;
}

absl::optional<absl::Time> SubscriptionState::oldest_receive_time() const {
  if (stored_view_.empty()) return absl::nullopt;
  return stored_view_.begin()->second.receive_time;
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

}  // namespace hookgate
