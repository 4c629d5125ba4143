// What streams that ask for the same share: a stretch of the log as one frame.
#ifndef HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_
#define HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/delivery/event_filter.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Which events a stream gets, and what of them. Immutable.
class Selection {
 public:
  Selection() = default;
  Selection(EventFilter filter, bool include_raw_body)
      : filter_(std::move(filter)),
        include_raw_body_(include_raw_body),
        key_(absl::StrCat(include_raw_body ? "+" : "", filter_.key())) {}

  const EventFilter& filter() const { return filter_; }
  bool include_raw_body() const { return include_raw_body_; }
  // The same for selections that are the same, and for no others.
  const std::string& key() const { return key_; }

 private:
  EventFilter filter_;
  bool include_raw_body_ = false;
  std::string key_;
};

// Immutable once shared.
struct BatchFrame {
  Sequence after = 0;    // begins after this event
  Sequence through = 0;  // and has all that is selected up to this one
  std::string bytes;     // a serialised SubscribeResponse with an EventBatch; "" if it has none
  bool full = false;     // whatever the log gets, a frame that begins here ends here
};
using BatchFramePtr = std::shared_ptr<const BatchFrame>;

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_
