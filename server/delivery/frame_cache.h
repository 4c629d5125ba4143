// The frames that were sent last, for the next stream that comes by the same place.
#ifndef HOOKGATE_SERVER_DELIVERY_FRAME_CACHE_H_
#define HOOKGATE_SERVER_DELIVERY_FRAME_CACHE_H_

#include <cstdint>
#include <list>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/delivery/batch_frame.h"

namespace hookgate {

// Thread-safe.
class FrameCache {
 public:
  // `max_bytes` bounds what is held here; streams may hold on to a frame that has gone from here.
  explicit FrameCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // The frame of the selection with this key that begins after `after`, or null.
  BatchFramePtr Find(absl::string_view selection, Sequence after) ABSL_LOCKS_EXCLUDED(mu_);

  // In place of the one that begins there, if there is one. The frames that were asked for longest
  // ago make room.
  void Put(absl::string_view selection, BatchFramePtr frame) ABSL_LOCKS_EXCLUDED(mu_);

  int64_t bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Entry {
    std::string selection;
    BatchFramePtr frame;
  };
  using Entries = std::list<Entry>;

  static int64_t BytesOf(const Entry& entry);

  // Constant after construction.
  const int64_t max_bytes_;

  mutable absl::Mutex mu_;
  Entries entries_ ABSL_GUARDED_BY(mu_);  // those asked for last come first
  // By key of the selection, which is a view into the entry, and by where the frame begins.
  absl::flat_hash_map<std::pair<absl::string_view, Sequence>, Entries::iterator> index_
      ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_FRAME_CACHE_H_
