// The open connections of a server: bounds how many there are, in all and from one address, and
// chooses the one that leaves when a new one finds no room.
//
// Somebody who can connect can take every place, and hold it by sending nothing or little. So a
// full server is no reason to turn a new connection away as long as another one waits for its peer:
//
//   1. the one that has been idle for longest leaves, first among those on which no request has
//      been answered 2xx yet, then among the others
//   2. if none is idle, the one whose request has been arriving for longest
//   3. one whose request is being handled, or answered, never leaves
//
// An honest request arrives within milliseconds, so under a flood it is not the oldest.
#ifndef HOOKGATE_SERVER_NET_CONNECTION_TABLE_H_
#define HOOKGATE_SERVER_NET_CONNECTION_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace hookgate {

// What a connection does, as far as it matters for who leaves first.
enum class ConnectionState { kIdleUnproven, kIdleProven, kArriving, kBusy };

class TrackedConnection {
 public:
  virtual ~TrackedConnection() = default;
  // Its place is needed. Of HTTP: closes it, unless a request has begun to be handled since it was
  // chosen; then after the answer. Of gRPC: ends its calls with UNAVAILABLE, also one that has
  // begun since, and closes it. Any thread; must not block.
  virtual void MakeRoom() = 0;

  // The lower, the sooner it leaves; kNever: not at all. Any thread.
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  // The lowest turn of those that are not kIdleUnproven.
  static constexpr uint64_t kFirstProven = uint64_t{1} << 60;
  uint64_t turn() const { return turn_.load(std::memory_order_relaxed); }

 protected:
  // `since` is the monotonic time at which it began to be so. One thread at a time.
  void SetState(ConnectionState state, absl::Duration since) {
    constexpr int kStateShift = 60;  // below are microseconds, of 36,000 years
    turn_.store(state == ConnectionState::kBusy
                    ? kNever
                    : static_cast<uint64_t>(state) << kStateShift |
                          static_cast<uint64_t>(absl::ToInt64Microseconds(since)),
                std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> turn_ = kNever;
};

// Not thread-safe.
class ConnectionTable {
 public:
  // The 16 bytes of an IPv6 address, IPv4 mapped into it.
  using Address = std::array<uint8_t, 16>;
  // What counts as one address: of IPv6 the network of 64 bits, which a host may have all of.
  static Address NetworkOf(const Address& address);

  struct Limits {
    size_t all = 1;
    size_t of_an_address = 1;  // by NetworkOf
    size_t refusing = 64;      // those beyond that are told so; more are closed without a word
    // Of those that nobody has called SetProven for; only for servers that do.
    size_t unproven = std::numeric_limits<size_t>::max();
  };
  explicit ConnectionTable(const Limits& limits) : limits_(limits) {}

  enum class Admission {
    kAdmitted,
    kFull,         // told that there are too many connections
    kAddressFull,  // told that there are too many from its address
    kDropped,      // not told
  };
  struct Decision {
    Admission admission = Admission::kAdmitted;
    int64_t id = 0;                              // of the new connection; 0 if it was dropped
    std::shared_ptr<TrackedConnection> leaving;  // whom to tell MakeRoom, or null
  };
  // Decides about a new connection. One that is not dropped has to be given to Add, and then to
  // Remove when it has ended.
  //   exempt  a proxy that many clients come through: only the limit on all of them holds
  Decision Admit(const Address& address, bool exempt);
  void Add(int64_t id, const std::shared_ptr<TrackedConnection>& connection);
  // At the end of the connection, when nobody holds it any more, at the latest from its destructor.
  void Remove(int64_t id);

  // The peer of connection `id`, which may have been removed, has proven who it is.
  void SetProven(int64_t id);
  // Whether one more unproven connection makes another one leave that has been there, or has done
  // something, since `since` only. A server that is flooded then rather lets new ones wait: those
  // that leave might be about to prove themselves.
  bool IsCrowdedSince(absl::Duration since) const;

  bool empty() const { return entries_.empty(); }
  // Every connection that is still there, the oldest first.
  std::vector<std::shared_ptr<TrackedConnection>> All() const;

 private:
  // kLeaving: it has been told to make room, and does not count any more.
  enum class Kind { kCounted, kRefusing, kLeaving };
  struct Entry {
    Kind kind = Kind::kCounted;
    bool exempt = false;
    Address network = {};
    std::weak_ptr<TrackedConnection> connection;
    // The same, to look at without holding it: whoever holds a connection may be the last one, and
    // its destructor calls Remove, for which the table's lock is taken. There until Remove.
    const TrackedConnection* looked_at = nullptr;
  };
  struct Turn {
    uint64_t turn = 0;
    int64_t id = 0;
    bool operator<(const Turn& other) const { return turn < other.turn; }
  };
  // Some of the connections.
  struct Group {
    absl::btree_set<int64_t> ids;
    // The unproven idle ones of them that a search has found, the next one last. With a search for
    // each, a flood of mute connections would cost their number each time. What has changed since
    // is known by its turn.
    std::vector<Turn> mute;
  };

  std::shared_ptr<TrackedConnection> TakeNextOfAll();
  std::shared_ptr<TrackedConnection> TakeNextOf(Group& group);
  // Of `mute`, or of those that `for_each` shows.
  std::shared_ptr<TrackedConnection> TakeNext(
      std::vector<Turn>& mute,
      absl::FunctionRef<void(absl::FunctionRef<void(int64_t, const Entry&)>)> for_each);
  // Null if `id` cannot leave, or not in that turn any more.
  std::shared_ptr<TrackedConnection> TakeIfItsTurn(const Turn& turn);
  void StopCounting(int64_t id, const Entry& entry);

  const Limits limits_;
  absl::btree_map<int64_t, Entry> entries_;
  absl::btree_map<Address, Group> networks_;  // the counted ones that are not exempt
  Group unproven_;                            // the counted ones for which SetProven was not called
  size_t counted_ = 0;
  size_t refusing_ = 0;
  int64_t last_id_ = 0;
  std::vector<Turn> mute_;  // of all, as in Group
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_NET_CONNECTION_TABLE_H_
