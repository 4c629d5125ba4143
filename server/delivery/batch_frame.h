// What streams that ask for the same share: a stretch of the log as one frame.
#ifndef HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_
#define HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_

#include <cstdint>
#include <memory>
#include <string>

#include "server/eventlog/event_log.h"

namespace hookgate {

// Immutable once shared.
struct BatchFrame {
  Sequence after = 0;    // begins after this event
  Sequence through = 0;  // and has all that is selected up to this one
  std::string bytes;     // a serialised SubscribeResponse with an EventBatch; "" if it has none
  int64_t events = 0;    // in `bytes`
  bool full = false;     // whatever the log gets, a frame that begins here ends here
};
using BatchFramePtr = std::shared_ptr<const BatchFrame>;

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_BATCH_FRAME_H_
