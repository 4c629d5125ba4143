// The open streams: keeps them alive, bounds their number, and says goodbye to all of them.
#ifndef HOOKGATE_SERVER_RPC_STREAM_REGISTRY_H_
#define HOOKGATE_SERVER_RPC_STREAM_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/monotonic_mutex.h"

namespace hookgate {

namespace v1 {
class StreamInfo;
}  // namespace v1

// What a call hears once the gateway drains, or once its connection is too old: UNAVAILABLE
// draining.
absl::Status DrainingError();

// A stream that has more events before it is behind.
inline constexpr int64_t kMaxLiveLag = 1000;

// Open streams that are behind, by their method.
struct StreamsBehind {
  int64_t subscribe = 0;
  int64_t consume = 0;
};

class OpenStream {
 public:
  virtual ~OpenStream() = default;
  // Says goodbye to the client and ends the stream. Any thread; must not block.
  virtual void Drain(absl::Duration reconnect_delay) = 0;
  // Rights have changed: ends the stream if it has no right to go on. Any thread; must not block.
  virtual void Recheck() = 0;
  // Fills in how the stream is now, without its id. False: it is of a kind that operators are not
  // shown. Any thread; must not block, nor keep the stream waiting.
  virtual bool Describe(hookgate::v1::StreamInfo&) { return false; }
  // Adds itself to `behind` if it is behind, as Describe would say, of a log whose newest event is
  // `head`. Any thread; must not block, nor take a lock that a commit of the log takes.
  virtual void CountIfBehind(int64_t /*head*/, StreamsBehind& /*behind*/) {}

 private:
  friend class StreamRegistry;
  int64_t id_ = 0;  // Given by the registry, which is the only one to use it; 0: none yet.
};

// Thread-safe.
class StreamRegistry {
 public:
  explicit StreamRegistry(size_t max_streams) : max_streams_(max_streams) {}

  // RESOURCE_EXHAUSTED too_many_streams, or UNAVAILABLE draining after DrainAll.
  absl::Status Add(const std::shared_ptr<OpenStream>& stream);
  void Remove(OpenStream* stream);
  size_t size() const;
  // Those with ids above `id`, with their ids, in order; at most `max`. Ids grow as streams are
  // opened.
  std::vector<std::pair<int64_t, std::shared_ptr<OpenStream>>> After(int64_t id, size_t max) const;

  // As OpenStream::CountIfBehind.
  StreamsBehind CountBehind(int64_t head) const;

  // Has each stream look whether it still may. Those added later look by themselves.
  void RecheckAll();

  // Drains every stream, and refuses new ones from now on. Clients are told to come back after
  // delays spread over `spread`, so that the next gateway does not meet all of them at once.
  void DrainAll(absl::Duration spread);
  // Whether that comes true within `patience`.
  bool WaitUntilEmpty(absl::Duration patience) const;

 private:
  std::vector<std::shared_ptr<OpenStream>> All() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t max_streams_;

  mutable MonotonicMutex mu_;
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  absl::btree_map<int64_t, std::shared_ptr<OpenStream>> streams_ ABSL_GUARDED_BY(mu_);  // by id
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_RPC_STREAM_REGISTRY_H_
