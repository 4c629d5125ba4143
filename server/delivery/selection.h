// Which events a Subscribe stream gets, and what of them.
#ifndef HOOKGATE_SERVER_DELIVERY_SELECTION_H_
#define HOOKGATE_SERVER_DELIVERY_SELECTION_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "server/delivery/event_filter.h"

namespace hookgate {

// Immutable.
class Selection {
 public:
  Selection(EventFilter filter, bool include_raw_body);

  const EventFilter& filter() const { return filter_; }
  bool include_raw_body() const { return include_raw_body_; }
  // The same for selections that are the same, and for no others.
  const std::string& key() const { return key_; }

 private:
  const EventFilter filter_;
  const bool include_raw_body_;
  const std::string key_;
};
using SelectionPtr = std::shared_ptr<const Selection>;

// Streams that ask for the same hold one selection: there are many streams, and few filters.
// Thread-safe.
class SelectionPool {
 public:
  // The one that is held already, or a new one.
  SelectionPtr Share(EventFilter filter, bool include_raw_body) ABSL_LOCKS_EXCLUDED(mu_);

  // How many the pool knows, also if nobody holds them any more: at most twice as many as are held,
  // or a few.
  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void ForgetUnheld() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  absl::flat_hash_map<std::string, std::weak_ptr<const Selection>> known_ ABSL_GUARDED_BY(mu_);
  size_t forget_at_ ABSL_GUARDED_BY(mu_) = 0;  // when known_ is as large
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_DELIVERY_SELECTION_H_
