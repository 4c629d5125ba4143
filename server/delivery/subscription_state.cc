#include "server/delivery/subscription_state.h"

#include <algorithm>
#include <limits>

#include "absl/random/random.h"
#include "absl/strings/string_view.h"
#include "server/delivery/subscription_state_time.h"

namespace hookgate {
namespace {

// How long the position may run ahead of what is stored while nothing else is written: events that
// the filter does not admit are looked at again after a crash, by the filter of then, which costs
// less than a commit each.
constexpr absl::Duration kLazyFor = absl::Seconds(10);

constexpr int kSuspicionSteps = 10;

// How many due events are given before one that is new, if there is one: of those that failed, one;
// of those that came back through nobody's fault, a few, so that they stay about in order.
constexpr int kFailedInARow = 1;
constexpr int kFreeInARow = 4;

// To kMaxReasonBytes, between characters: a message that carries it must be valid UTF-8.
absl::string_view Shortened(absl::string_view reason) {
  if (reason.size() <= SubscriptionState::kMaxReasonBytes) return reason;
  size_t end = SubscriptionState::kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;
  return reason.substr(0, end);
}

bool IsFree(DeliveryCause cause, int lost) {
  return cause != DeliveryCause::kNacked && cause != DeliveryCause::kDeadlinePassed &&
         (cause != DeliveryCause::kStreamLost || lost <= 1);
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
                                     Instant now, const SubscriptionBounds& bounds)
    : bounds_(bounds),
      start_(now.wall),
      policy_(policy),
      paused_(stored.control.pause_time.has_value()),
      row_(stored.position),
      offered_to_(stored.position.position),
      stored_position_(stored.position.position),
      store_position_at_(Us(now.monotonic + kLazyFor)) {
  for (const UnsettledEvent& event : stored.unsettled) {
    Record& record = events_[event.sequence];
    record.bytes = event.bytes;
    record.receive_us = Us(event.receive_time);
    record.delivery = event.delivery;
    record.void_delivery = event.void_delivery;
    record.first_us = Us(event.first_delivery_time);
    record.last_us = Us(event.last_delivery_time);
    record.attempts = event.attempts;
    record.lost = event.lost;
    record.nacked = event.nacked || !event.nack_reason.value_or("").empty();
    absl::Duration wait = absl::ZeroDuration();
    if (event.leased) {
      record.due_us = Us(now.wall);
      record.cause = DeliveryCause::kGatewayRestarted;
      interrupted_[event.sequence] = event.consumer;
    } else {
      wait = std::clamp(event.due - now.wall, absl::ZeroDuration(), event.delay);
      record.due_us = Us(event.due);
      record.delay_us = Us(event.delay);
      record.cause = event.cause;
    }
    record.when_us = Us(now.monotonic + wait);
    StartWaiting(event.sequence, record);
  }
  for (const DeadEvent& event : stored.dead) {
    dead_[event.sequence] = {.bytes = event.bytes,
                             .receive_us = Us(event.receive_time),
                             .delivery = event.delivery,
                             .void_delivery = event.void_delivery,
                             .first_us = Us(event.first_delivery_time),
                             .last_us = Us(event.last_delivery_time),
                             .nacked = event.nacked || !event.nack_reason.value_or("").empty()};
  }
}

void SubscriptionState::NoteNewFilter(const std::string& settings, Instant now) {
  moves_.push_back({.kind = SubscriptionMove::Kind::kFilter,
                    .from = row_.position,
                    .to = row_.position,
                    .time = now.wall,
                    .settings = settings});
  row_.passed = 0;
  row_.admitted = 0;
  row_changed_ = true;
}

bool SubscriptionState::Attach(AttachmentId stream, const std::string& name,
                               const ConsumerLimits& limits, bool include_raw_body) {
  if (streams_.size() >= kMaxConsumers) return false;
  if (!consumers_.contains(name) && consumers_.size() >= kMaxConsumers) return false;
  Stream& added = streams_[stream];
  added.consumer = name;
  added.include_raw_body = include_raw_body;
  Consumer& consumer = consumers_[name];
  consumer.limits = limits;
  ++consumer.streams;
  return true;
}

void SubscriptionState::SetLimits(AttachmentId stream, const ConsumerLimits& limits) {
  const auto found = streams_.find(stream);
  if (found != streams_.end()) consumers_[found->second.consumer].limits = limits;
}

void SubscriptionState::Detach(AttachmentId stream, DeliveryCause why, bool keep_leases,
                               Instant now, absl::BitGenRef random) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  const Stream ended = std::move(found->second);
  streams_.erase(found);
  for (const Sequence sequence : ended.leases) {
    const Record& record = events_[sequence];
    if (record.place == Place::kAssigned) {
      Wait(sequence, absl::ZeroDuration(), record.cause, now);
    } else if (keep_leases) {
      record.holder->stream = 0;
    } else if (why == DeliveryCause::kStreamLost) {
      LoseOne(sequence, now, random);
    } else {
      const bool drained = why == DeliveryCause::kGatewayRestarted;
      NoteEnd(sequence, drained ? DeliveryEnd::kGatewayRestarted : DeliveryEnd::kStreamEnded, "",
              now);
      Wait(sequence, absl::ZeroDuration(), why, now);
    }
  }
  --consumers_[ended.consumer].streams;
  ForgetIdle(ended.consumer);
}

void SubscriptionState::Offer(absl::Span<const OfferedEvent> events, Sequence scanned_to) {
  offered_.insert(offered_.end(), events.begin(), events.end());
  offered_to_ = std::max(offered_to_, scanned_to);
  DropKnownOffers();
  if (offered_.empty()) MovePosition(offered_to_);
}

// What was redriven beyond the position is unsettled already: it comes by itself.
void SubscriptionState::DropKnownOffers() {
  while (!offered_.empty() && events_.contains(offered_.front().sequence)) {
    const Sequence sequence = offered_.front().sequence;
    ++row_.admitted;
    offered_.pop_front();
    MovePosition(offered_.empty() ? offered_to_ : sequence);
  }
}

void SubscriptionState::MovePosition(Sequence to) {
  row_.passed += std::max<int64_t>(to - row_.position, 0);
  row_.position = to;
  while (!ahead_.empty() && *ahead_.begin() <= to) {
    const Sequence reached = *ahead_.begin();
    ahead_.erase(ahead_.begin());
    StartWaiting(reached, events_[reached]);
  }
}

void SubscriptionState::ForgetOffers() {
  offered_.clear();
  offered_to_ = row_.position;
}

bool SubscriptionState::WantsOffers(absl::Span<const AttachmentId> ready) const {
  if (!offered_.empty() || events_.size() >= bounds_.max_unsettled) return false;
  return WantsRawBodies(ready).has_value();
}

absl::optional<bool> SubscriptionState::WantsRawBodies(absl::Span<const AttachmentId> ready) const {
  absl::optional<bool> wants;
  if (paused_ || in_flight_ >= static_cast<int64_t>(bounds_.max_leased)) return wants;
  for (const AttachmentId stream : ready) {
    const auto found = streams_.find(stream);
    if (found == streams_.end() || !HasCredit(consumers_.at(found->second.consumer), 0)) continue;
    wants = wants.value_or(false) || found->second.include_raw_body;
  }
  return wants;
}

WantedEvents SubscriptionState::Wanted(absl::Span<const AttachmentId> ready, size_t max,
                                       Instant now, SizeOf size_of) const {
  WantedEvents wanted;
  const absl::optional<bool> bodies = WantsRawBodies(ready);
  if (!bodies.has_value()) return wanted;
  wanted.include_raw_body = *bodies;
  // Adds those of one source that are not at hand, unless its first one is.
  const auto add = [&](Sequence sequence, bool first) {
    const bool at_hand = size_of(sequence, *bodies).has_value();
    if (!at_hand && wanted.sequences.size() < max) wanted.sequences.push_back(sequence);
    return !(first && at_hand) && wanted.sequences.size() < max;
  };
  for (const Timeline* const timeline : {&waiting_, &suspects_}) {
    for (auto at = timeline->begin(); at != timeline->end(); ++at) {
      if (at->first > Us(now.monotonic) || !add(at->second, at == timeline->begin())) break;
    }
  }
  if (!MayTakeNew()) return wanted;
  for (auto at = offered_.begin(); at != offered_.end(); ++at) {
    if (!add(at->sequence, at == offered_.begin())) break;
  }
  return wanted;
}

bool SubscriptionState::HasCredit(const Consumer& consumer, int64_t bytes) const {
  if (consumer.messages >= consumer.limits.max_messages) return false;
  if (consumer.limits.max_bytes <= 0) return false;
  return consumer.messages == 0 || consumer.bytes + bytes <= consumer.limits.max_bytes;
}

int64_t SubscriptionState::Suspicion(const Record& record) const {
  if (record.lost == 0) return 0;
  const int left = std::clamp(policy_.max_lost_deliveries + 1 - record.lost, 1, kSuspicionSteps);
  return kMaxSuspicion >> (2 * (left - 1));
}

bool SubscriptionState::MayTakeNew() const {
  return !offered_.empty() && events_.size() < bounds_.max_unsettled;
}

const std::pair<int64_t, Sequence>* SubscriptionState::Due(const Timeline& timeline,
                                                           Instant now) const {
  if (timeline.empty() || timeline.begin()->first > Us(now.monotonic)) return nullptr;
  return &*timeline.begin();
}

// The one that has been due for longer. A suspect for which no stream has room keeps nobody else
// waiting; but streams that lack nothing but bytes for it save them up.
absl::optional<Sequence> SubscriptionState::NextDue(std::vector<Share>& shares, Instant now,
                                                    size_t max_messages, SizeOf size_of) const {
  const auto* const waiting = Due(waiting_, now);
  const auto* const suspect = Due(suspects_, now);
  if (suspect != nullptr && (waiting == nullptr || *suspect < *waiting)) {
    const int64_t suspicion = Suspicion(events_.at(suspect->second));
    bool fits = false;
    for (Share& share : shares) {
      const absl::optional<int64_t> size = size_of(suspect->second, share.state->include_raw_body);
      if (!size.has_value() || share.messages >= max_messages || !HasCredit(*share.consumer, 0) ||
          share.state->suspicion + suspicion > kMaxSuspicion) {
        continue;
      }
      const bool has_bytes = HasCredit(*share.consumer, *size);
      fits = fits || has_bytes;
      share.held_back = share.held_back || !has_bytes;
    }
    if (fits) return suspect->second;
  }
  if (waiting == nullptr) return absl::nullopt;
  const bool at_hand = std::any_of(shares.begin(), shares.end(), [&](const Share& share) {
    return size_of(waiting->second, share.state->include_raw_body).has_value();
  });
  if (!at_hand) return absl::nullopt;
  return waiting->second;
}

std::vector<Lease> SubscriptionState::Assign(absl::Span<const AttachmentId> ready,
                                             size_t max_messages, int64_t max_bytes, Instant now,
                                             SizeOf size_of) {
  if (paused_) return {};
  std::vector<Share> shares;
  for (const AttachmentId stream : ready) {
    const auto found = streams_.find(stream);
    if (found == streams_.end()) continue;
    shares.push_back({stream, &found->second, &consumers_[found->second.consumer]});
  }
  std::vector<Lease> leases;
  while (in_flight_ < static_cast<int64_t>(bounds_.max_leased)) {
    DropKnownOffers();
    absl::optional<Sequence> due = NextDue(shares, now, max_messages, size_of);
    if (due.has_value() && MayTakeNew()) {
      const Record& record = events_[*due];
      const int most = IsFree(record.cause, record.lost) ? kFreeInARow : kFailedInARow;
      if (due_in_a_row_ >= most) due.reset();
    }
    if (!due.has_value() && !MayTakeNew()) break;
    const Sequence sequence = due.has_value() ? *due : offered_.front().sequence;
    const int64_t suspicion = due.has_value() ? Suspicion(events_[sequence]) : 0;
    Share* best = nullptr;
    int64_t bytes = 0;  // on the best
    for (Share& share : shares) {
      const absl::optional<int64_t> size = size_of(sequence, share.state->include_raw_body);
      if (!size.has_value() || share.messages >= max_messages ||
          (share.messages > 0 && share.bytes + *size > max_bytes) ||
          !HasCredit(*share.consumer, *size) || (share.held_back && suspicion == 0) ||
          share.state->suspicion + suspicion > kMaxSuspicion) {
        continue;
      }
      if (best == nullptr || std::pair(share.consumer->messages, share.messages) <
                                 std::pair(best->consumer->messages, best->messages)) {
        best = &share;
        bytes = *size;
      }
    }
    if (best == nullptr) break;
    ++best->messages;
    best->bytes += bytes;
    if (due.has_value()) {
      ++due_in_a_row_;
    } else {
      due_in_a_row_ = 0;
      const OfferedEvent event = offered_.front();
      offered_.pop_front();
      ++row_.admitted;
      reasons_.erase(sequence);  // Of before a seek.
      Record& record = events_[sequence];
      record.receive_us = Us(event.receive_time);
      record.first_us = Us(now.wall);
      MovePosition(offered_.empty() ? offered_to_ : sequence);
    }
    leases.push_back(MakeLease(sequence, best->stream, bytes, now));
  }
  return leases;
}

Lease SubscriptionState::MakeLease(Sequence sequence, AttachmentId stream, int64_t bytes,
                                   Instant now) {
  Record& record = Dirty(sequence);
  Leave(sequence, record);
  Stream& state = streams_[stream];
  record.holder = std::make_unique<Holder>(
      Holder{.stream = stream, .consumer = state.consumer, .suspicion = Suspicion(record)});
  state.suspicion += record.holder->suspicion;
  state.leases.insert(sequence);
  Consumer& consumer = consumers_[state.consumer];
  ++consumer.messages;
  consumer.bytes += bytes;
  ++in_flight_;
  record.bytes = bytes;
  record.place = Place::kAssigned;
  record.delivery = ++row_.last_delivery;
  row_changed_ = true;
  record.last_us = Us(now.wall);
  if (record.first_us == 0) record.first_us = record.last_us;  // It was asked for again.
  Lease lease = {.stream = stream,
                 .id = {sequence, record.delivery},
                 .attempt = record.attempts + 1,
                 .lost_deliveries = record.lost,
                 .cause = record.cause};
  const auto reason = reasons_.find(sequence);
  if (reason != reasons_.end()) {
    lease.nack_reason = reason->second;
  } else {
    lease.reason_is_stored = record.nacked;
  }
  return lease;
}

bool SubscriptionState::HasStoredReason(Sequence sequence) const {
  const auto found = events_.find(sequence);
  return found != events_.end() && found->second.nacked && !reasons_.contains(sequence);
}

absl::optional<absl::Time> SubscriptionState::HandOut(const DeliveryId& id, Instant now) {
  if (!Holds(id)) return absl::nullopt;
  Record& record = events_[id.sequence];
  if (record.place == Place::kAssigned) {
    record.place = Place::kLeased;
    record.when_us = Us(now.monotonic + policy_.ack_deadline);
    leases_.insert({record.when_us, id.sequence});
  }
  return now.wall + policy_.ack_deadline;
}

bool SubscriptionState::Holds(const DeliveryId& id) const {
  const auto found = events_.find(id.sequence);
  return found != events_.end() && found->second.holder != nullptr &&
         found->second.delivery == id.number;
}

void SubscriptionState::ReturnLease(const DeliveryId& id, Instant now) {
  if (!Holds(id)) return;
  NoteEnd(id.sequence, DeliveryEnd::kStreamEnded, "", now);
  Wait(id.sequence, absl::ZeroDuration(), events_[id.sequence].cause, now);
}

void SubscriptionState::Lose(const DeliveryId& id, Instant now, absl::BitGenRef random) {
  if (!Holds(id)) return;
  if (events_[id.sequence].place == Place::kAssigned) return ReturnLease(id, now);
  LoseOne(id.sequence, now, random);
}

absl::optional<AckOutcome> SubscriptionState::OutcomeByNumber(const DeliveryId& id) const {
  if (id.number <= row_.void_delivery || id.number > row_.last_delivery || id.sequence <= 0 ||
      id.sequence > row_.position) {
    return AckOutcome::kUnknown;
  }
  const auto found = events_.find(id.sequence);
  if (found != events_.end()) {
    const Record& record = found->second;
    if (id.number <= record.void_delivery) return AckOutcome::kAlready;
    const bool not_out = id.number == record.delivery && record.place == Place::kAssigned;
    if (id.number > record.delivery || not_out) return AckOutcome::kUnknown;
    return absl::nullopt;
  }
  const auto dead = dead_.find(id.sequence);
  if (dead != dead_.end()) {
    if (id.number <= dead->second.void_delivery) return AckOutcome::kAlready;
    if (id.number > dead->second.delivery) return AckOutcome::kUnknown;
    return absl::nullopt;
  }
  // Settled, or taken by retention: of what is gone nobody knows which.
  return id.sequence < earliest_ ? AckOutcome::kUnknown : AckOutcome::kAlready;
}

AckOutcome SubscriptionState::Ack(const DeliveryId& id, Instant now) {
  const absl::optional<AckOutcome> outcome = OutcomeByNumber(id);
  if (outcome.has_value()) return *outcome;
  const auto found = events_.find(id.sequence);
  const bool is_unsettled = found != events_.end();
  if (is_unsettled) {
    const Record& record = found->second;
    const bool holds = id.number == record.delivery && record.holder != nullptr;
    if (holds) NoteAck(record.holder->consumer, now);
    NoteEnd(id.sequence, holds ? DeliveryEnd::kAcked : DeliveryEnd::kSettled, "", now);
    NoteOutcome(id.sequence, DeliveryOutcome::kAcked, now);
    if (!holds) history_.back().late_ack = id.number;
    counts_.acked_us.push_back(record.receive_us);
    Remove(id.sequence);
  } else if (const auto dead = dead_.find(id.sequence); dead != dead_.end()) {
    counts_.acked_us.push_back(dead->second.receive_us);
  }
  // If it is one, or was before a seek: it is handled now.
  if (EraseDead(id.sequence) && !is_unsettled) {
    NoteOutcome(id.sequence, DeliveryOutcome::kAcked, now);
    history_.back().late_ack = id.number;
  }
  return AckOutcome::kOk;
}

AckOutcome SubscriptionState::FindHeld(const DeliveryId& id, Record** held) {
  const absl::optional<AckOutcome> outcome = OutcomeByNumber(id);
  if (outcome.has_value()) return *outcome;
  if (!Holds(id)) return AckOutcome::kLeaseLost;
  *held = &events_[id.sequence];
  return AckOutcome::kOk;
}

AckOutcome SubscriptionState::Nack(const DeliveryId& id, const NackRequest& nack, Instant now,
                                   absl::BitGenRef random) {
  Record* held = nullptr;
  const AckOutcome outcome = FindHeld(id, &held);
  if (held == nullptr) return outcome;
  reasons_[id.sequence] = std::string(Shortened(nack.reason));
  held->nacked = !nack.reason.empty();
  NoteEnd(id.sequence, nack.dead_letter ? DeliveryEnd::kConsumerDecided : DeliveryEnd::kNacked,
          reasons_[id.sequence], now);
  ++counts_.nacked;
  if (nack.dead_letter) {
    ++Dirty(id.sequence).attempts;
    if (!MakeDeadLetter(id.sequence, DeliveryCause::kConsumerDecided, now)) {
      Wait(id.sequence, policy_.maximum_backoff, DeliveryCause::kNacked, now);
    }
  } else {
    Fail(id.sequence, DeliveryCause::kNacked, nack.delay, now, random);
  }
  return AckOutcome::kOk;
}

AckOutcome SubscriptionState::Extend(const DeliveryId& id, absl::optional<absl::Duration> deadline,
                                     Instant now) {
  Record* held = nullptr;
  const AckOutcome outcome = FindHeld(id, &held);
  if (held == nullptr) return outcome;
  leases_.erase({held->when_us, id.sequence});
  held->when_us =
      Us(now.monotonic + std::clamp(deadline.value_or(policy_.ack_deadline), kMinLease, kMaxDelay));
  leases_.insert({held->when_us, id.sequence});
  return AckOutcome::kOk;
}

void SubscriptionState::Tick(Instant now, absl::BitGenRef random) {
  while (!leases_.empty() && leases_.begin()->first <= Us(now.monotonic)) {
    ++counts_.deadline_passed;
    NoteEnd(leases_.begin()->second, DeliveryEnd::kDeadlinePassed, "", now);
    Fail(leases_.begin()->second, DeliveryCause::kDeadlinePassed, absl::nullopt, now, random);
  }
  if (row_.position == stored_position_) {
    store_position_at_ = Us(now.monotonic + kLazyFor);
  } else if (Us(now.monotonic) >= store_position_at_) {
    row_changed_ = true;
  }
}

// What is due and not assigned waits for a consumer, not for the clock.
absl::Duration SubscriptionState::NextTick(Instant now) const {
  int64_t next = std::numeric_limits<int64_t>::max();
  if (!leases_.empty()) next = leases_.begin()->first;
  if (row_.position != stored_position_) next = std::min(next, store_position_at_);
  if (!streams_.empty() && !paused_) {
    const std::pair<int64_t, Sequence> due(Us(now.monotonic), std::numeric_limits<Sequence>::max());
    for (const Timeline* const timeline : {&waiting_, &suspects_}) {
      const auto not_due = timeline->upper_bound(due);
      if (not_due != timeline->end()) next = std::min(next, not_due->first);
    }
  }
  return next == std::numeric_limits<int64_t>::max() ? absl::InfiniteDuration()
                                                     : absl::Microseconds(next);
}

void SubscriptionState::Fail(Sequence sequence, DeliveryCause cause,
                             absl::optional<absl::Duration> delay, Instant now,
                             absl::BitGenRef random) {
  const int attempts = ++Dirty(sequence).attempts;
  if (attempts >= policy_.max_attempts) {
    if (MakeDeadLetter(sequence, cause, now)) return;
    delay = policy_.maximum_backoff;  // No room for it there: it must not get lost.
  }
  const absl::Duration wait = delay.value_or(RedeliveryDelay(policy_, attempts, random));
  Wait(sequence, std::clamp(wait, absl::ZeroDuration(), kMaxDelay), cause, now);
}

void SubscriptionState::LoseOne(Sequence sequence, Instant now, absl::BitGenRef random) {
  NoteEnd(sequence, DeliveryEnd::kStreamLost, "", now);
  const int counted = Dirty(sequence).lost++;  // without the first
  absl::Duration delay = absl::ZeroDuration();
  if (counted >= policy_.max_lost_deliveries) {
    if (MakeDeadLetter(sequence, DeliveryCause::kStreamLost, now)) return;
    delay = policy_.maximum_backoff;
  } else if (counted > 0) {
    delay = RedeliveryDelay(policy_, counted, random);
  }
  Wait(sequence, delay, DeliveryCause::kStreamLost, now);
}

void SubscriptionState::Wait(Sequence sequence, absl::Duration delay, DeliveryCause cause,
                             Instant now) {
  Record& record = Dirty(sequence);
  Leave(sequence, record);
  record.due_us = Us(now.wall + delay);
  record.delay_us = Us(delay);
  record.cause = cause;
  record.when_us = Us(now.monotonic + delay);
  StartWaiting(sequence, record);
}

void SubscriptionState::StartWaiting(Sequence sequence, Record& record) {
  if (sequence > row_.position) {
    record.place = Place::kAhead;
    ahead_.insert(sequence);
  } else {
    record.place = Place::kWaiting;
    TimelineOf(record).insert({record.when_us, sequence});
  }
}

void SubscriptionState::Leave(Sequence sequence, Record& record) {
  switch (record.place) {
    case Place::kAhead:
      ahead_.erase(sequence);
      break;
    case Place::kWaiting:
      TimelineOf(record).erase({record.when_us, sequence});
      break;
    case Place::kAssigned:
      break;
    case Place::kLeased:
      leases_.erase({record.when_us, sequence});
      break;
  }
  if (record.holder == nullptr) return;
  const Holder holder = *std::exchange(record.holder, nullptr);
  --in_flight_;
  const auto stream = streams_.find(holder.stream);
  if (stream != streams_.end()) {
    stream->second.leases.erase(sequence);
    stream->second.suspicion -= holder.suspicion;
  }
  Consumer& consumer = consumers_[holder.consumer];
  --consumer.messages;
  consumer.bytes -= record.bytes;
  ForgetIdle(holder.consumer);
}

bool SubscriptionState::MakeDeadLetter(Sequence sequence, DeliveryCause cause, Instant now) {
  if (dead_.size() >= bounds_.max_dead_letters && !dead_.contains(sequence)) return false;
  const UnsettledEvent event = RowOf(sequence, events_[sequence]);
  dead_[sequence] = {.bytes = event.bytes,
                     .receive_us = Us(event.receive_time),
                     .delivery = event.delivery,
                     .void_delivery = event.void_delivery,
                     .first_us = Us(event.first_delivery_time),
                     .last_us = Us(event.last_delivery_time),
                     .nacked = event.nacked};
  dead_changed_[sequence] = DeadEvent{.sequence = sequence,
                                      .delivery = event.delivery,
                                      .void_delivery = event.void_delivery,
                                      .attempts = event.attempts,
                                      .lost = event.lost,
                                      .cause = cause,
                                      .nack_reason = event.nack_reason,
                                      .bytes = event.bytes,
                                      .receive_time = event.receive_time,
                                      .first_delivery_time = event.first_delivery_time,
                                      .last_delivery_time = event.last_delivery_time,
                                      .dead_letter_time = now.wall};
  ++counts_.dead_lettered;
  NoteOutcome(sequence, DeliveryOutcome::kDead, now);
  Remove(sequence);
  return true;
}

void SubscriptionState::Remove(Sequence sequence) {
  const auto found = events_.find(sequence);
  Leave(sequence, found->second);
  events_.erase(found);
  changed_.insert(sequence);
}

void SubscriptionState::ForgetIdle(const std::string& name) {
  const auto found = consumers_.find(name);
  if (found == consumers_.end()) return;
  if (found->second.streams == 0 && found->second.messages == 0) consumers_.erase(found);
}

SubscriptionState::Record& SubscriptionState::Dirty(Sequence sequence) {
  NoteInterrupted(sequence);
  changed_.insert(sequence);
  return events_[sequence];
}

}  // namespace hookgate
