// Bounds what all bodies together hold in memory before their signatures are known.
//
// Counted is what is held, not what a request announces: a connection that announces a large body
// and sends nothing takes nothing. The first kFreeBytes of a body are not counted, so that a usual
// webhook, which is smaller, never asks.
//
// When there is no room, the body that has been on its way for longest gives its room up, if that
// is longer than kPatience: somebody who fills the budget and stops can keep others out for that
// long, not for the whole time-out of a body. A body that finds no room all the same is refused.
#ifndef HOOKGATE_SERVER_NET_BODY_BUDGET_H_
#define HOOKGATE_SERVER_NET_BODY_BUDGET_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"

namespace hookgate {

// A request whose body counts.
class BodyHolder {
 public:
  virtual ~BodyHolder() = default;
  // Its room is given to others: it frees the body and refuses the request. Called once, on any
  // thread; must not block.
  virtual void GiveUpBody() = 0;
};

// Thread-safe.
class BodyBudget {
 public:
  static constexpr int64_t kFreeBytes = 16 << 10;
  static constexpr absl::Duration kPatience = absl::Seconds(2);

  // `clock` outlives the budget. `free_bytes` are not counted of each body.
  BodyBudget(int64_t max_bytes, const Clock& clock, int64_t free_bytes = kFreeBytes)
      : max_bytes_(max_bytes), free_bytes_(free_bytes), clock_(clock) {}

  // What one body holds; nothing at first. Belongs to one thread, and ends before the budget does.
  class Share {
   public:
    Share(BodyBudget& budget, std::weak_ptr<BodyHolder> holder)
        : budget_(budget), holder_(std::move(holder)) {}
    ~Share() { Release(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // From now on the body holds `bytes` in all, more than before. False, with nothing changed, if
    // there is no room, or if the body had to give up what it had.
    bool Grow(int64_t bytes);
    // Holds nothing any more.
    void Release();

   private:
    BodyBudget& budget_;
    const std::weak_ptr<BodyHolder> holder_;
    int64_t id_ = 0;  // in budget_; 0: it holds nothing that counts
  };

  // Whether a body of `bytes` has a chance at the moment: there is room, or one that has had its
  // time. Takes nothing and makes no room: nobody gives way to what is only announced.
  bool HasRoomFor(int64_t bytes) const ABSL_LOCKS_EXCLUDED(mu_);

  int64_t held_bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Held {
    int64_t bytes = 0;
    absl::Duration since;
    std::weak_ptr<BodyHolder> holder;
  };

  // `id`, which is made if it is 0, holds `bytes` from now on.
  bool Take(int64_t& id, int64_t bytes, const std::weak_ptr<BodyHolder>& holder)
      ABSL_LOCKS_EXCLUDED(mu_);
  void Return(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  // Whether `more` bytes fit, once bodies that had their time have given theirs up; `except` never
  // does. Adds to `leaving` the ones that have to be told, without the lock.
  bool MakeRoom(int64_t more, int64_t except, std::vector<std::shared_ptr<BodyHolder>>& leaving)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const int64_t max_bytes_;
  const int64_t free_bytes_;
  const Clock& clock_;

  mutable absl::Mutex mu_;
  // By the order in which they began. Those that have given up are not here any more.
  absl::btree_map<int64_t, Held> held_ ABSL_GUARDED_BY(mu_);
  int64_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_NET_BODY_BUDGET_H_
