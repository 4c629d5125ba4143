#include "server/gateway/gateway_probe.h"

#include <algorithm>
#include <limits>
#include <set>

namespace hookgate {
namespace {

// As hookgate.v1.DeadLetter.Cause says it.
const char* CauseText(DeliveryCause cause) {
  switch (cause) {
    case DeliveryCause::kNacked:
      return "nacked";
    case DeliveryCause::kDeadlinePassed:
      return "deadline_passed";
    case DeliveryCause::kConsumerDecided:
      return "consumer_decided";
    case DeliveryCause::kStreamLost:
      return "stream_lost";
    default:
      return "unknown";
  }
}

bool IsPaused(Subscription& subscription) {
  const std::vector<SubscriptionCondition> conditions = subscription.Conditions();
  return std::count(conditions.begin(), conditions.end(), SubscriptionCondition::kPaused) > 0;
}

}  // namespace

std::vector<SubscriptionVitals> GatewayProbe::Subscriptions(bool find_waiting) {
  const auto all = subscriptions_.List("", std::numeric_limits<size_t>::max());
  std::vector<std::pair<SubscriptionPulse, Memory*>> pulses;
  std::set<int64_t> ids;
  for (const auto& subscription : all) {
    ids.insert(subscription->id());
    Memory& memory = memories_[subscription->id()];
    pulses.emplace_back(subscription->TakePulse(), &memory);
    CountDead(pulses.back().first, memory);
  }
  if (find_waiting) Search(pulses);
  std::vector<SubscriptionVitals> vitals;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto& [pulse, memory] = pulses[i];
    vitals.push_back(
        {.id = all[i]->id(),
         .name = all[i]->name(),
         .dead_lettered = memory->dead_lettered,
         .last_dead = memory->last_dead,
         .dead_letters = pulse.dead_letters,
         .lost = pulse.lost,
         .settled = pulse.settled,
         .oldest = LooksBeyondPosition(pulse, *memory) ? memory->found : pulse.oldest_unsettled,
         .backlog = pulse.backlog,
         .consumers = pulse.consumers,
         .paused = IsPaused(*all[i])});
  }
  for (auto entry = memories_.begin(); entry != memories_.end();) {
    entry = ids.count(entry->first) > 0 ? std::next(entry) : memories_.erase(entry);
  }
  return vitals;
}

// Those of which only the number is known count as others.
void GatewayProbe::CountDead(const SubscriptionPulse& pulse, Memory& memory) {
  memory.dead_lettered += pulse.more_dead;
  for (const SubscriptionPulse::Dead& dead : pulse.new_dead) {
    if (IsOperatorEvent(dead.sequence)) continue;
    ++memory.dead_lettered;
    memory.last_dead = {dead.sequence, dead.time, CauseText(dead.cause)};
  }
}

bool GatewayProbe::IsOperatorEvent(Sequence sequence) {
  const absl::StatusOr<EventPage> page = log_.Read(
      sequence - 1, [](const StoredEvent&) { return true; }, {.max_events = 1, .max_scanned = 1});
  return page.ok() && !page->events.empty() && page->events.front()->sequence == sequence &&
         page->events.front()->source == kOperatorSource;
}

// The one that was looked at longest ago comes first, so that none waits for ever.
void GatewayProbe::Search(std::vector<std::pair<SubscriptionPulse, Memory*>>& pulses) {
  const Sequence head = log_.Position().head;
  std::vector<std::pair<SubscriptionPulse, Memory*>*> wanted;
  for (auto& each : pulses) {
    if (Prepare(each.first, head, *each.second)) wanted.push_back(&each);
  }
  std::sort(wanted.begin(), wanted.end(), [](const auto* a, const auto* b) {
    return a->second->last_scan < b->second->last_scan;
  });
  if (wanted.size() > kMaxPages) wanted.resize(kMaxPages);
  for (const auto* each : wanted) SearchPage(each->first, *each->second);
}

// Whether what counts as waiting is beyond the position: nothing is unsettled, or what is at the
// front is an operator event.
bool GatewayProbe::LooksBeyondPosition(const SubscriptionPulse& pulse, const Memory& memory) {
  return !pulse.oldest_unsettled.has_value() || memory.waits_for_own;
}

bool GatewayProbe::Prepare(const SubscriptionPulse& pulse, Sequence head, Memory& memory) {
  const bool is_anew = memory.settings != pulse.settings || pulse.position < memory.position ||
                       (memory.found.has_value() && *memory.found <= pulse.position);
  if (is_anew) {
    memory.found.reset();
    memory.scanned_to = 0;
  }
  memory.settings = pulse.settings;
  memory.position = pulse.position;
  memory.scanned_to = std::max(memory.scanned_to, pulse.position);
  // Or a subscriber that is slow about what it is told would be told so by more of it, for ever.
  if (memory.front != pulse.oldest_unsettled) {
    memory.front = pulse.oldest_unsettled;
    memory.waits_for_own = memory.front.has_value() && IsOperatorEvent(*memory.front);
  }
  return LooksBeyondPosition(pulse, memory) && !memory.found.has_value() &&
         memory.scanned_to < head;
}

// What cannot be read is looked for again.
void GatewayProbe::SearchPage(const SubscriptionPulse& pulse, Memory& memory) {
  memory.last_scan = ++pages_;
  const EventFilter& filter = pulse.settings->filter;
  const Sequence after = std::max(memory.scanned_to, log_.Position().earliest - 1);
  const absl::StatusOr<EventPage> page =
      log_.Read(after,
                [&filter](const StoredEvent& event) {
                  return event.source != kOperatorSource && filter.Matches(event);
                },
                {.max_events = 1, .max_scanned = kEventsPerPage});
  if (!page.ok()) return;
  memory.scanned_to = page->scanned_to;
  if (!page->events.empty()) memory.found = page->events.front()->sequence;
}

std::vector<SourceVitals> GatewayProbe::Sources() {
  std::vector<SourceVitals> vitals;
  for (const auto& source : sources_.All()) {
    const SourceStatus status = source->records().source();
    vitals.push_back({.name = source->config().name,
                      .silent_after = source->config().silent_after,
                      .verified = status.webhooks,
                      .failed = source->records().failed_signatures(),
                      .last_webhook = status.last_webhook});
  }
  return vitals;
}

}  // namespace hookgate
