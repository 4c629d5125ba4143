#include "server/delivery/read_ahead.h"

#include <utility>

namespace hookgate {
namespace {

constexpr size_t kMaxWantedReads = 3;

const HeldEvent* FindIn(const HeldEvents& events, Sequence sequence, bool include_raw_body,
                        bool needs_reason) {
  const auto found = events.find(sequence);
  if (found == events.end()) return nullptr;
  const HeldEvent& held = found->second;
  if (include_raw_body && !held.has_raw_body) return nullptr;
  return needs_reason && !held.nack_reason.has_value() ? nullptr : &held;
}

}  // namespace

void ReadAhead::KeepPage(const std::vector<StoredEventPtr>& events, bool has_raw_bodies) {
  page_.clear();
  for (const StoredEventPtr& event : events) page_[event->sequence] = {event, has_raw_bodies};
}

void ReadAhead::KeepWanted(HeldEvents held) {
  wanted_.push_front(std::move(held));
  if (wanted_.size() > kMaxWantedReads) wanted_.pop_back();
}

const HeldEvent* ReadAhead::Find(Sequence sequence, bool include_raw_body,
                                 bool needs_reason) const {
  for (const HeldEvents& events : wanted_) {
    const HeldEvent* const held = FindIn(events, sequence, include_raw_body, needs_reason);
    if (held != nullptr) return held;
  }
  return FindIn(page_, sequence, include_raw_body, needs_reason);
}

void ReadAhead::Take(Sequence sequence) {
  page_.erase(sequence);
  for (HeldEvents& events : wanted_) events.erase(sequence);
}

void ReadAhead::Discard() {
  page_.clear();
  wanted_.clear();
  ++generation_;
}

}  // namespace hookgate
