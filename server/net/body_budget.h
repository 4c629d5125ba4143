// Bounds what all bodies together hold in memory before their signatures are known.
//
// Counted is what is held, not what a request announces: a connection that announces a large body
// and sends nothing takes nothing. The first kFreeBytes of a body are not counted, so that a usual
// webhook, which is smaller, never asks.
//
// When there is no room for a body:
//
//   1. The origin that holds most gives room up, the body first that has been on its way for
//      longest, as long as it holds more than the one that asks would. So an origin that fills the
//      budget keeps no other one out, however often it renews its bodies; and while nobody else
//      wants room, it may have all of it.
//   2. Then the body that has been on its way for longest, if that is longer than kPatience: many
//      who fill the budget and stop can keep others out for that long, not for the whole time-out
//      of a body. For an origin that would hold more than a quarter, only bodies of its own.
//   3. Otherwise it is refused, and nobody gives way.
#ifndef HOOKGATE_SERVER_NET_BODY_BUDGET_H_
#define HOOKGATE_SERVER_NET_BODY_BUDGET_H_

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/clock.h"

namespace hookgate {

// A request whose body counts.
class BodyHolder {
 public:
  virtual ~BodyHolder() = default;
  // Its room is given to others: it frees the body and refuses the request. Called once, on any
  // thread; must not block.
  virtual void GiveUpBody() = 0;
};

// Whom a body is counted with: all from one network share what is theirs.
struct BodyOrigin {
  std::array<uint8_t, 16> network = {};  // ConnectionTable::NetworkOf
  // 0, or the number of a connection that counts by itself: many come through a proxy.
  int64_t connection = 0;

  auto operator<=>(const BodyOrigin&) const = default;
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
    Share(BodyBudget& budget, const BodyOrigin& origin, std::weak_ptr<BodyHolder> holder)
        : budget_(budget), origin_(origin), holder_(std::move(holder)) {}
    ~Share() { Release(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // From now on the body holds `bytes` in all, more than before. False, with nothing changed, if
    // there is no room, or if the body had to give up what it had.
    bool Grow(int64_t bytes);
    // Whether the body had to give up what it had: what GiveUpBody says may reach the body's thread
    // only when another body has come in its place.
    bool has_given_up() const { return id_ != 0 && !budget_.Holds(id_); }
    // Holds nothing any more.
    void Release();

   private:
    BodyBudget& budget_;
    const BodyOrigin origin_;
    const std::weak_ptr<BodyHolder> holder_;
    int64_t id_ = 0;  // in budget_; 0: it holds nothing that counts
  };

  // Whether a body of `bytes` from `origin` has a chance at the moment: there is room, or somebody
  // who would give way. Takes nothing and makes no room: nobody gives way to what is only
  // announced.
  bool HasRoomFor(int64_t bytes, const BodyOrigin& origin) const ABSL_LOCKS_EXCLUDED(mu_);

  int64_t held_bytes() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Held {
    int64_t bytes = 0;
    absl::Duration since;
    BodyOrigin origin;
    std::weak_ptr<BodyHolder> holder;
  };
  struct OfOrigin {
    int64_t bytes = 0;
    absl::btree_set<int64_t> ids;
  };
  using Removed = std::vector<std::pair<int64_t, Held>>;

  // `id`, which is made if it is 0, holds `bytes` from now on.
  bool Take(int64_t& id, int64_t bytes, const BodyOrigin& origin,
            const std::weak_ptr<BodyHolder>& holder) ABSL_LOCKS_EXCLUDED(mu_);
  void Return(int64_t id) ABSL_LOCKS_EXCLUDED(mu_);
  bool Holds(int64_t id) const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether `more` bytes fit, once those that give way have been removed, who are then in
  // `leaving`; `except`, which asks for `origin`, is never one of them.
  bool MakeRoom(int64_t more, int64_t except, const BodyOrigin& origin, Removed& leaving)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Fits(int64_t more) const ABSL_SHARED_LOCKS_REQUIRED(mu_) {
    return held_bytes_ + more <= max_bytes_;
  }
  int64_t BytesOf(const BodyOrigin& origin) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // Another one than `origin` that holds more than `bytes`, and most of all; null if there is none.
  const BodyOrigin* LargestAbove(int64_t bytes, const BodyOrigin& origin) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  // The body that has had its time for longest, 0 if there is none: not `except`, and only of
  // `origin` if that would hold more than its share with `bytes`.
  int64_t FirstPastPatience(int64_t bytes, int64_t except, const BodyOrigin& origin) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);

  void Add(int64_t id, Held held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Held Remove(int64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const int64_t max_bytes_;
  const int64_t free_bytes_;
  const Clock& clock_;

  mutable absl::Mutex mu_;
  // By the order in which they began. Those that have given up are not here any more.
  absl::btree_map<int64_t, Held> held_ ABSL_GUARDED_BY(mu_);
  // The same by origin, and who holds most last.
  absl::btree_map<BodyOrigin, OfOrigin> origins_ ABSL_GUARDED_BY(mu_);
  absl::btree_set<std::pair<int64_t, BodyOrigin>> by_bytes_ ABSL_GUARDED_BY(mu_);
  int64_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_NET_BODY_BUDGET_H_
