#include "server/delivery/explain_delivery.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "hookgate/v1/subscription_service.pb.h"

namespace hookgate {
namespace {

using Kind = SubscriptionMove::Kind;

DeliveryEnd EndOf(DeliveryCause cause) {
  switch (cause) {
    case DeliveryCause::kDeadlinePassed:
      return DeliveryEnd::kDeadlinePassed;
    case DeliveryCause::kStreamLost:
      return DeliveryEnd::kStreamLost;
    case DeliveryCause::kConsumerDecided:
      return DeliveryEnd::kConsumerDecided;
    default:
      return DeliveryEnd::kNacked;
  }
}

DeliveryState StateOf(DeliveryOutcome outcome) {
  switch (outcome) {
    case DeliveryOutcome::kAcked:
      return DeliveryState::kAcked;
    case DeliveryOutcome::kDead:
      return DeliveryState::kDead;
    case DeliveryOutcome::kDiscarded:
      return DeliveryState::kDiscarded;
    case DeliveryOutcome::kLost:
      return DeliveryState::kLost;
    case DeliveryOutcome::kSkipped:
      return DeliveryState::kSkipped;
    case DeliveryOutcome::kOpen:
      break;
  }
  return DeliveryState::kNotRemembered;
}

void AddAttempt(const DeliveryAttempt& attempt, DeliveryExplanation& explanation) {
  explanation.attempts.push_back({.number = attempt.number,
                                  .consumer = attempt.consumer,
                                  .begin = attempt.begin,
                                  .end = attempt.end,
                                  .how = attempt.how,
                                  .reason = attempt.reason});
  explanation.last_end = attempt.how;
  const bool is_nack =
      attempt.how == DeliveryEnd::kNacked || attempt.how == DeliveryEnd::kConsumerDecided;
  if (is_nack) explanation.reason = attempt.reason;
}

void AddHistory(const DeliveryHistory& history, DeliveryExplanation& explanation) {
  for (const DeliveryAttempt& attempt : history.attempts) AddAttempt(attempt, explanation);
  explanation.state = StateOf(history.outcome);
  if (history.outcome != DeliveryOutcome::kOpen) explanation.state_time = history.time;
  explanation.consumer = history.consumer;
  explanation.attempt = history.number;
  explanation.delivery_count = history.count;
  if (history.count > 0) explanation.first_delivery_time = history.first_delivery_time;
  const bool is_simple = history.outcome == DeliveryOutcome::kAcked && history.count == 1;
  if (is_simple) explanation.attempts.clear();  // The fields say all of it.
}

void AddUnsettled(const UnsettledEvent& event, const absl::optional<UnsettledPlace>& place,
                  DeliveryExplanation& explanation) {
  const bool leased = place.has_value() ? place->leased : event.leased;
  explanation.state = leased ? DeliveryState::kLeased : DeliveryState::kWaiting;
  explanation.state_time = absl::nullopt;
  if (!explanation.attempts.empty()) explanation.state_time = explanation.attempts.back().end;
  explanation.consumer = explanation.attempts.empty() ? "" : explanation.attempts.back().consumer;
  explanation.attempt = place.has_value() ? place->attempt : event.attempts + 1;
  explanation.reason = event.nack_reason.value_or("");
  explanation.lost_deliveries = place.has_value() ? place->lost_deliveries : event.lost;
  // What was forgotten of it has happened all the same.
  explanation.delivery_count =
      std::max<int64_t>(explanation.delivery_count, event.attempts + event.lost);
  if (!explanation.first_delivery_time.has_value() && event.delivery > 0) {
    explanation.first_delivery_time = event.first_delivery_time;
  }
  if (place.has_value()) {
    explanation.until = place->until;
  } else if (!leased) {
    explanation.until = event.due;
  }
  if (!leased) return;
  explanation.consumer = place.has_value() ? place->consumer : event.consumer;
  explanation.state_time = place.has_value() ? place->delivery_time : event.last_delivery_time;
  explanation.attempts.push_back({.number = explanation.attempt,
                                  .consumer = explanation.consumer,
                                  .begin = *explanation.state_time});
  ++explanation.delivery_count;
}

void AddDead(const DeadEvent& dead, DeliveryExplanation& explanation) {
  explanation.state = DeliveryState::kDead;
  explanation.state_time = dead.dead_letter_time;
  explanation.attempt = dead.attempts;
  explanation.last_end = EndOf(dead.cause);
  explanation.reason = dead.nack_reason.value_or("");
  explanation.lost_deliveries = dead.lost;
  explanation.delivery_count =
      std::max<int64_t>(explanation.delivery_count, dead.attempts + dead.lost);
  explanation.first_delivery_time = dead.first_delivery_time;
}

// The filter that was in force from `moves[last]` on; nullopt: not known any more.
absl::optional<EventFilter> FilterAfter(const std::vector<SubscriptionMove>& moves, size_t last) {
  for (size_t i = last + 1; i-- > 0;) {
    if (moves[i].settings.empty()) continue;
    hookgate::v1::SubscriptionSettings settings;
    if (!settings.ParseFromString(moves[i].settings)) return absl::nullopt;
    absl::StatusOr<EventFilter> filter = EventFilter::Create(settings.filter());
    if (!filter.ok()) return absl::nullopt;
    return *std::move(filter);
  }
  return absl::nullopt;
}

// What became of an event up to the stored position of which nothing else is known: walks back
// through the moves to the one that the event is behind.
//
//   start at 3      to 7 by events      seek from 7 to 9     to 12 by events
//   1 2 3: before   4 5 6 7: judged     8 9: skipped         10 11 12: judged
void JudgePassed(const ExplainInput& input, DeliveryExplanation& explanation) {
  const std::vector<SubscriptionMove>& moves = input.stored.moves;
  const Sequence sequence = input.sequence;
  explanation.state = DeliveryState::kNotRemembered;
  Sequence reached = input.stored.position;
  const SubscriptionMove* later_seek = nullptr;  // the first one after it that it was behind
  for (size_t i = moves.size(); i-- > 0;) {
    const SubscriptionMove& move = moves[i];
    if (move.to < sequence && sequence <= reached) {
      const absl::optional<EventFilter> filter = FilterAfter(moves, i);
      if (!filter.has_value() || input.event == nullptr) return;
      explanation.filtered_by = filter->RefusedBy(*input.event);
      if (explanation.filtered_by.has_value()) {
        explanation.state = DeliveryState::kFiltered;
      } else if (later_seek != nullptr && input.stored.delivery.history.has_value()) {
        // It had attempts, and was not settled, when the seek came.
        explanation.state = DeliveryState::kSkipped;
        explanation.state_time = later_seek->time;
      }
      return;
    }
    if (move.from < sequence && sequence <= move.to) {
      if (move.kind == Kind::kSeek || move.kind == Kind::kLost) {
        explanation.state =
            move.kind == Kind::kSeek ? DeliveryState::kSkipped : DeliveryState::kLost;
        explanation.state_time = move.time;
      }
      return;
    }
    if (move.kind == Kind::kStart && sequence <= move.to) {
      explanation.state = DeliveryState::kBeforeStart;
      explanation.state_time = move.time;
      return;
    }
    if (move.kind == Kind::kSeek) later_seek = &move;
    reached = move.from;
  }
}

}  // namespace

DeliveryExplanation DescribeDelivery(const StoredDelivery& stored,
                                     const absl::optional<UnsettledPlace>& place) {
  DeliveryExplanation explanation;
  if (stored.history.has_value()) AddHistory(*stored.history, explanation);
  if (stored.unsettled.has_value()) {
    if (place.has_value() && place->interrupted.has_value()) {
      AddAttempt(*place->interrupted, explanation);
      ++explanation.delivery_count;
    }
    AddUnsettled(*stored.unsettled, place, explanation);
  } else if (stored.dead.has_value()) {
    AddDead(*stored.dead, explanation);
  }
  // With what has not ended or is not stored yet there may be more.
  std::vector<DeliveryExplanation::Attempt>& attempts = explanation.attempts;
  if (attempts.size() > DeliveryHistory::kMaxAttempts) {
    attempts.erase(attempts.begin(), attempts.end() - DeliveryHistory::kMaxAttempts);
  }
  return explanation;
}

bool ComesAgain(const StoredDelivery& stored, bool is_ahead) {
  return is_ahead && stored.history.has_value() &&
         stored.history->outcome == DeliveryOutcome::kSkipped;
}

DeliveryExplanation ExplainDelivery(const ExplainInput& input) {
  const StoredDelivery& stored = input.stored.delivery;
  DeliveryExplanation explanation = DescribeDelivery(stored, input.place);
  const bool is_owed = stored.unsettled.has_value() || stored.dead.has_value();
  const bool is_ahead = input.sequence > input.position;
  const bool has_outcome = stored.history.has_value() &&
                           stored.history->outcome != DeliveryOutcome::kOpen &&
                           !ComesAgain(stored, is_ahead);
  if (is_owed || has_outcome) return explanation;
  explanation.state_time = absl::nullopt;
  if (input.sequence <= input.stored.position && !is_ahead && !input.place.has_value()) {
    JudgePassed(input, explanation);
    return explanation;
  }
  // What the position has passed since the last commit was refused, or is being taken just now.
  explanation.state = DeliveryState::kNotReached;
  if (input.event != nullptr) explanation.filtered_by = input.filter.RefusedBy(*input.event);
  const bool is_passed = !is_ahead && !input.place.has_value();
  if (is_passed && explanation.filtered_by.has_value()) {
    explanation.state = DeliveryState::kFiltered;
  }
  return explanation;
}

}  // namespace hookgate
