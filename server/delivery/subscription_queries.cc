// What a Subscription tells of itself; it decides nothing here.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "server/base/status.h"
#include "server/delivery/subscription.h"

namespace hookgate {
namespace {

// Dead letters that are remembered for who looks next. Nobody may ever.
constexpr size_t kMaxNewDead = 128;

// Events looked at for one page of deliveries: about 3 ms.
constexpr size_t kMaxListed = 1024;

}  // namespace

SubscriptionStatus Subscription::GetStatus() {
  absl::MutexLock lock(&mu_);
  return {.settings = settings_->effective,
          .position = state_->position(),
          .in_flight = state_->in_flight(),
          .awaiting_redelivery = state_->waiting(),
          .dead_letters = dead_letters_,
          .passed = state_->passed(),
          .admitted = state_->admitted(),
          .conditions = state_->conditions(),
          .consumers = state_->consumers(Now()),
          .pause_time = control_.pause_time,
          .etag = EtagNow()};
}

Sequence Subscription::position() {
  absl::MutexLock lock(&mu_);
  return state_->position();
}

hookgate::v1::EventFilter Subscription::filter() {
  absl::MutexLock lock(&mu_);
  return settings_->effective.filter();
}

absl::optional<absl::Time> Subscription::pause_time() {
  absl::MutexLock lock(&mu_);
  return control_.pause_time;
}

std::vector<SubscriptionCondition> Subscription::Conditions() {
  absl::MutexLock lock(&mu_);
  return state_->conditions();
}

SubscriptionPulse Subscription::TakePulse() {
  const Sequence head = context_.log.Position().head;
  absl::MutexLock lock(&mu_);
  SubscriptionPulse pulse = {
      .new_dead = {new_dead_.begin(), new_dead_.end()},
      .more_dead = std::exchange(more_dead_, 0),
      .dead_letters = dead_letters_,
      .lost = state_->lost(),
      .settled = settled_,
      .position = state_->position(),
      .oldest_unsettled = state_->oldest_unsettled(),
      .backlog = state_->unsettled() + std::max<int64_t>(head - state_->position(), 0),
      .settings = settings_};
  for (const ConsumerStatus& consumer : state_->consumers(Now())) {
    if (consumer.streams > 0) ++pulse.consumers;
  }
  new_dead_.clear();
  return pulse;
}

void Subscription::NotePulse(const Batch& batch) {
  settled_ += batch.settled;
  for (const SubscriptionPulse::Dead& dead : batch.new_dead) {
    new_dead_.push_back(dead);
    if (new_dead_.size() <= kMaxNewDead) continue;
    new_dead_.pop_front();
    ++more_dead_;
  }
}

absl::StatusOr<std::vector<DeadEvent>> Subscription::DeadLetters(Sequence after, size_t max) {
  return context_.store.LoadDeadLetters(id_, after, max);
}

DeliveryExplanation Subscription::Explain(Sequence sequence, const StoredEvent* event,
                                          const StoredExplanation& stored) {
  std::shared_ptr<const SubscriptionSettings> settings;
  Sequence position = 0;
  absl::optional<UnsettledPlace> place;
  {
    absl::MutexLock lock(&mu_);
    settings = settings_;
    position = state_->position();
    place = state_->PlaceOf(sequence, Now());
  }
  return ExplainDelivery({.sequence = sequence,
                          .event = event,
                          .stored = stored,
                          .position = position,
                          .filter = settings->filter,
                          .place = std::move(place)});
}

absl::StatusOr<DeliveryExplanation> Subscription::Explain(Sequence sequence,
                                                          const StoredEvent* event) {
  ASSIGN_OR_RETURN(const std::vector<StoredExplanation> stored,
                   context_.store.ExplainEvent(sequence, {id_}));
  return Explain(sequence, event, stored.front());
}

absl::StatusOr<DeliveryPage> Subscription::ListDeliveries(const DeliveryQuery& query) {
  const auto wants = [&query](std::initializer_list<DeliveryState> states) {
    return query.states.empty() ||
           std::any_of(states.begin(), states.end(),
                       [&](DeliveryState state) { return query.states.contains(state); });
  };
  using enum DeliveryState;
  ASSIGN_OR_RETURN(
      const DeliveryScanPage scanned,
      context_.store.ScanDeliveries(id_, {.newest_first = query.newest_first,
                                          .after = query.after,
                                          .unsettled = wants({kLeased, kWaiting}),
                                          .dead = wants({kDead}),
                                          .history = wants({kAcked, kDiscarded, kLost, kSkipped}),
                                          .max_events = kMaxListed}));
  std::vector<absl::optional<UnsettledPlace>> places;
  places.reserve(scanned.deliveries.size());
  Sequence position = 0;
  {
    absl::MutexLock lock(&mu_);
    position = state_->position();
    const Instant now = Now();
    for (const StoredDelivery& stored : scanned.deliveries) {
      places.push_back(stored.unsettled.has_value() ? state_->PlaceOf(stored.sequence, now)
                                                    : absl::nullopt);
    }
  }
  DeliveryPage page;
  page.next = scanned.next;
  for (size_t i = 0; i < scanned.deliveries.size(); ++i) {
    const StoredDelivery& stored = scanned.deliveries[i];
    DeliveryExplanation explanation = DescribeDelivery(stored, places[i]);
    // One whose attempts a seek has made void comes again, or was skipped with many others.
    if (explanation.state == kNotRemembered || ComesAgain(stored, stored.sequence > position) ||
        !wants({explanation.state}) ||
        !absl::StrContains(explanation.reason, query.reason_contains) ||
        (!query.consumer.empty() && explanation.consumer != query.consumer)) {
      continue;
    }
    if (page.deliveries.size() == query.max_events) {
      page.next = page.deliveries.back().sequence;
      break;
    }
    page.deliveries.push_back({stored.sequence, std::move(explanation)});
  }
  return page;
}

Backlog Subscription::GetBacklog() {
  const Sequence head = context_.log.Position().head;
  Backlog backlog;
  absl::optional<absl::Time> oldest;
  Sequence position = 0;
  {
    absl::MutexLock lock(&mu_);
    position = state_->position();
    backlog.events = state_->unsettled() + std::max<int64_t>(head - position, 0);
    backlog.lost = state_->lost();
    backlog.lost_unread = state_->lost_unread();
    oldest = state_->oldest_receive_time();
  }
  if (!oldest.has_value() && position < head) oldest = ReceiveTimeOf(position + 1);
  if (oldest.has_value()) {
    backlog.oldest_unacked_age = std::max(context_.clock.WallNow() - *oldest, absl::ZeroDuration());
  }
  return backlog;
}

// As far as it is known without the disk; otherwise it is looked up for the next time. Of one whose
// filter admits little, the position moves on meanwhile: then the event before it says about when.
absl::optional<absl::Time> Subscription::ReceiveTimeOf(Sequence sequence) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
  if (slice.has_value() && !slice->events.empty()) return slice->events.front()->receive_time;
  bool look_up = false;
  absl::optional<absl::Time> known;
  {
    absl::MutexLock lock(&mu_);
    known = KnownReceiveTime(sequence, look_up);
  }
  if (look_up) PostLookUp(sequence);
  return known;
}

absl::optional<absl::Time> Subscription::KnownReceiveTime(Sequence sequence, bool& look_up) {
  const HeldEvent* const next = FindHeld(sequence, /*include_raw_body=*/false);
  if (next != nullptr) return next->event->receive_time;
  if (oldest_.sequence == sequence) return oldest_.time;
  if (scanned_.sequence == sequence - 1 && (reading_ || behind_)) return scanned_.time;
  if (looking_up_ || closed_) return absl::nullopt;
  looking_up_ = true;
  look_up = true;
  return absl::nullopt;
}

void Subscription::PostLookUp(Sequence sequence) {
  context_.reads.Post(
      [self = shared_from_this(), sequence](ReadQueue::Ticket) { self->LookUpOldest(sequence); });
}

void Subscription::LookUpOldest(Sequence sequence) {
  const absl::optional<Tail::Slice> slice = context_.tail.Read(sequence - 1, 1);
  if (slice.has_value() && !slice->events.empty()) {
    absl::MutexLock lock(&mu_);
    looking_up_ = false;
    oldest_ = {slice->events.front()->sequence, slice->events.front()->receive_time};
    return;
  }
  const absl::StatusOr<EventPage> page = context_.log.Read(
      sequence - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  absl::MutexLock lock(&mu_);
  looking_up_ = false;
  if (!page.ok() || page->events.empty()) return;
  oldest_ = {page->events.front()->sequence, page->events.front()->receive_time};
}

Backlog Subscription::ReadBacklog() {
  Backlog backlog = GetBacklog();
  if (backlog.oldest_unacked_age.has_value() || backlog.events == 0) return backlog;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    next = state_->position() + 1;
  }
  const absl::StatusOr<EventPage> page = context_.log.Read(
      next - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  if (page.ok() && !page->events.empty()) {
    backlog.oldest_unacked_age = std::max(
        context_.clock.WallNow() - page->events.front()->receive_time, absl::ZeroDuration());
  }
  return backlog;
}

absl::optional<SubscriptionGauges> Subscription::GetGauges(Sequence head) {
  SubscriptionGauges gauges;
  absl::optional<absl::Time> oldest;
  bool look_up = false;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    if (metrics_ == nullptr) return absl::nullopt;
    next = state_->position() + 1;
    const int64_t beyond = std::max<int64_t>(head - state_->position(), 0);
    gauges.backlog = state_->unsettled() + beyond;
    gauges.in_flight = state_->in_flight();
    gauges.awaiting_redelivery = state_->waiting();
    gauges.dead_letters = dead_letters_;
    gauges.consumers = state_->open_consumers();
    gauges.paused = control_.pause_time.has_value();
    oldest = state_->oldest_receive_time();
    if (!oldest.has_value() && beyond > 0) oldest = KnownReceiveTime(next, look_up);
  }
  if (look_up) PostLookUp(next);
  if (oldest.has_value()) {
    gauges.oldest_unacked_age = std::max(context_.clock.WallNow() - *oldest, absl::ZeroDuration());
  }
  return gauges;
}

void Subscription::PrepareGauges() {
  const Sequence head = context_.log.Position().head;
  bool look_up = false;
  Sequence next = 0;
  {
    absl::MutexLock lock(&mu_);
    next = state_->position() + 1;
    if (metrics_ == nullptr || next > head || state_->oldest_receive_time().has_value()) return;
    KnownReceiveTime(next, look_up);
  }
  if (look_up) PostLookUp(next);
}

// --- Waking up and ending. ---

}  // namespace hookgate
