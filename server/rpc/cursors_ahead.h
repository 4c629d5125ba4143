// What a replica of a cluster does with a cursor of an event that it does not have yet.
#ifndef HOOKGATE_SERVER_RPC_CURSORS_AHEAD_H_
#define HOOKGATE_SERVER_RPC_CURSORS_AHEAD_H_

#include <functional>

#include "absl/time/time.h"

namespace hookgate {

// Another replica has given the cursor out, and has applied more of the shared log.
struct CursorsAhead {
  // How long the event is waited for. Zero, as of a gateway that is alone: the cursor is refused at
  // once.
  absl::Duration patience;
  // Whether this replica has all that any had when the wait began, so that a cursor which is still
  // ahead is of something else. Any thread; needed unless `patience` is zero.
  std::function<bool()> is_complete;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_CURSORS_AHEAD_H_
