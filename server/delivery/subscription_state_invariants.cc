// What is always so between the parts of a SubscriptionState. Apart from the rest, since it decides
// nothing: tests ask for it after each step.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/delivery/subscription_state.h"

namespace hookgate {

std::string SubscriptionState::BrokenInvariant() const {
  for (const auto& [sequence, record] : events_) {
    const std::string broken = BrokenInvariant(sequence, record);
    if (!broken.empty()) return absl::StrCat("event ", sequence, ": ", broken);
  }
  const std::string broken = BrokenOffers();
  return !broken.empty() ? broken : BrokenSums();
}

// That it is where its place says, and nowhere else: BrokenSums counts.
std::string SubscriptionState::BrokenInvariant(Sequence sequence, const Record& record) const {
  const bool is_held = record.place == Place::kAssigned || record.place == Place::kLeased;
  const std::pair<int64_t, Sequence> when(record.when_us, sequence);
  const Timeline& timeline = record.lost > 0 ? suspects_ : waiting_;
  if ((record.place == Place::kAhead) != (sequence > row_.position)) {
    return absl::StrCat("is not where the position has it, which is ", row_.position);
  }
  if (record.place == Place::kAhead && !ahead_.contains(sequence)) return "is not among the ahead";
  if (record.place == Place::kWaiting && !timeline.contains(when)) return "waits nowhere";
  if (record.place == Place::kLeased && !leases_.contains(when)) return "has no deadline";
  if (is_held != (record.holder != nullptr)) return "is held by nobody, or by somebody in vain";
  if (record.delivery > row_.last_delivery) return "has a delivery of the future";
  if (!is_held) return "";
  if (!consumers_.contains(record.holder->consumer))
    return "is held by a consumer that is not there";
  if (record.holder->stream == 0) return "";
  const auto stream = streams_.find(record.holder->stream);
  if (stream == streams_.end()) return "is held by a stream that is not there";
  if (stream->second.consumer != record.holder->consumer) return "has a stream of another consumer";
  return stream->second.leases.contains(sequence) ? "" : "is not known to its stream";
}

std::string SubscriptionState::BrokenOffers() const {
  Sequence before = row_.position;
  for (const OfferedEvent& offered : offered_) {
    if (offered.sequence <= before) return absl::StrCat("offered out of order: ", offered.sequence);
    before = offered.sequence;
  }
  return before <= offered_to_ ? "" : absl::StrCat("offered, but not looked at: ", before);
}

std::string SubscriptionState::BrokenSums() const {
  struct Sums {
    int64_t streams = 0;
    int64_t messages = 0;
    int64_t bytes = 0;
  };
  std::map<std::string, Sums> of_consumers;
  std::map<AttachmentId, std::pair<size_t, int64_t>> of_streams;  // leases, suspicion
  size_t ahead = 0;
  size_t leased = 0;
  size_t waiting = 0;
  int64_t held = 0;
  for (const auto& [sequence, record] : events_) {
    if (record.place == Place::kAhead) ++ahead;
    if (record.place == Place::kLeased) ++leased;
    if (record.place == Place::kWaiting) ++waiting;
    if (record.holder == nullptr) continue;
    ++held;
    Sums& consumer = of_consumers[record.holder->consumer];
    ++consumer.messages;
    consumer.bytes += record.bytes;
    auto& [leases, suspicion] = of_streams[record.holder->stream];
    ++leases;
    suspicion += record.holder->suspicion;
  }
  if (ahead != ahead_.size()) return "what is not ahead of the position counts as ahead";
  if (leased != leases_.size()) return "a deadline of what is not leased";
  if (waiting != waiting_.size() + suspects_.size()) return "what does not wait is due";
  if (held != in_flight_) return absl::StrCat(held, " in flight, counted as ", in_flight_);
  for (const auto& [id, stream] : streams_) {
    ++of_consumers[stream.consumer].streams;
    const auto& [leases, suspicion] = of_streams[id];
    if (leases != stream.leases.size()) return absl::StrCat("stream ", id, ": wrong leases");
    if (suspicion != stream.suspicion || suspicion > kMaxSuspicion) {
      return absl::StrCat("stream ", id, ": suspicion ", suspicion, ", counted as ",
                          stream.suspicion);
    }
  }
  if (of_consumers.size() != consumers_.size()) return "a consumer that has nothing";
  for (const auto& [name, consumer] : consumers_) {
    const Sums& sums = of_consumers[name];
    if (sums.streams != consumer.streams || sums.messages != consumer.messages ||
        sums.bytes != consumer.bytes) {
      return absl::StrCat("consumer ", name, ": ", sums.streams, " streams, ", sums.messages,
                          " messages of ", sums.bytes, " bytes, counted as ", consumer.streams,
                          ", ", consumer.messages, " of ", consumer.bytes);
    }
  }
  return "";
}

}  // namespace hookgate
