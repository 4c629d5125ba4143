// What was read for a subscription, and was not handed out yet.
#ifndef HOOKGATE_SERVER_DELIVERY_READ_AHEAD_H_
#define HOOKGATE_SERVER_DELIVERY_READ_AHEAD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// An event in memory, to be delivered.
struct HeldEvent {
  StoredEventPtr event;
  bool has_raw_body = false;
  absl::optional<std::string> nack_reason;  // if it had to be read
};

using HeldEvents = std::map<Sequence, HeldEvent>;

// Holds one page of new events, and the wanted ones of the last reads. Not thread-safe.
class ReadAhead {
 public:
  // In the place of the page before: all of that was taken, or comes again as what is wanted.
  void KeepPage(const std::vector<StoredEventPtr>& events, bool has_raw_bodies);
  // Beside those of the two reads before. There are three kinds of wanted events of which the first
  // may have to wait for credit: none of these is read again and again while the first of another
  // is read.
  void KeepWanted(HeldEvents held);

  // What a delivery of it takes: nullptr if it is not here, or lacks the body or the reason that
  // it is to have. Valid until anything is kept, taken or discarded.
  const HeldEvent* Find(Sequence sequence, bool include_raw_body, bool needs_reason) const;
  // It has been handed out.
  void Take(Sequence sequence);

  // What was read is not what is wanted next; nor is what is being read.
  void Discard();
  // Counts up with each Discard.
  int64_t generation() const { return generation_; }

 private:
  HeldEvents page_;
  std::deque<HeldEvents> wanted_;  // of the latest read first
  int64_t generation_ = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_READ_AHEAD_H_
