// The newest webhook requests that were refused, in memory: they become no event, so that nothing
// else tells an operator later why one did not arrive.
//
// Repeats of a request (same client, source, code and claimed webhook-id) are one entry that counts
// them. When there is no room, the entry goes that is the oldest of the client that has most
// entries, among those of the source and code that have most. So a flood, whether it comes from one
// address or from many, pushes out entries of its own kind, and not the one refusal of a sender
// that an operator looks for.
//
// What is kept of a request is never its body, nor the value of a header field, except of its
// webhook-id.
#ifndef HOOKGATE_SERVER_STATUS_REFUSED_REQUESTS_H_
#define HOOKGATE_SERVER_STATUS_REFUSED_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace hookgate {

// What peers chose is cut and made printable by RefusedRequests::Record; "..." at its end says that
// there was more.
struct RefusedRequest {
  static constexpr size_t kMaxTextBytes = 256;     // of each of path, detail, webhook_id
  static constexpr size_t kMaxHeaders = 64;        // that are kept
  static constexpr size_t kMaxHeaderBytes = 1024;  // of the names that are kept, together

  struct Header {
    std::string name;
    int64_t bytes = 0;  // of its value
  };
  // Keeps the name, unless there is no room for it or was none for one before it; counts it.
  void AddHeader(absl::string_view name, size_t value_bytes);

  std::string source;      // as configured; "": the path names none
  std::string path;        // if it names no source: as requested, without the query
  std::string peer;        // the address at the other end of the connection
  std::string client;      // whom a trusted proxy names; otherwise as `peer`
  std::string code;        // of the answer (base/reason.h)
  std::string detail;      // for people
  std::string webhook_id;  // as claimed, by whomever; "": none was
  // The first ones, in the order received. None of one that was signed and could not be stored.
  std::vector<Header> headers;
  int64_t header_count = 0;  // also of those that are not kept

  // Filled in by RefusedRequests.
  int64_t number = 0;  // grows with each refusal; of a repeated one, that of the last
  int64_t count = 1;   // how often
  absl::Time first_time;
  absl::Time last_time;
};
using RefusedRequestPtr = std::shared_ptr<const RefusedRequest>;

// Thread-safe. The lock is held for some moves of pointers: whoever records waits for nobody who
// reads, however much that is.
class RefusedRequests {
 public:
  static constexpr size_t kDefaultMaxEntries = 1000;
  // What an entry takes of memory at most; a usual one takes about 1 KiB.
  static constexpr size_t kMaxEntryBytes = 8 << 10;

  // 0: remembers nothing.
  explicit RefusedRequests(size_t max_entries = kDefaultMaxEntries) : max_entries_(max_entries) {}

  size_t max_entries() const { return max_entries_; }
  // Ask this before a request is put together.
  bool enabled() const { return max_entries_ > 0; }

  void Record(RefusedRequest request, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

  struct Query {
    std::string source;                       // "": any
    std::string code;                         // "": any
    std::string address;                      // of the peer or the client; "": any
    std::string webhook_id;                   // as claimed; "": any
    absl::Time since = absl::InfinitePast();  // the last time is not before this
    int64_t before = INT64_MAX;               // only numbers below
    size_t max_entries = 100;
  };
  // The newest first.
  std::vector<RefusedRequestPtr> List(const Query& query) const ABSL_LOCKS_EXCLUDED(mu_);

  // Those that claimed to be this webhook, the newest first. For the answer to "why did it not
  // arrive?": anybody may have claimed so.
  std::vector<RefusedRequestPtr> FindById(absl::string_view webhook_id,
                                          size_t max_entries = 10) const ABSL_LOCKS_EXCLUDED(mu_);

  size_t size() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // The entries of one client, the least recent first, within a group.
  struct Lane {
    std::string client;
    std::list<RefusedRequestPtr> entries;
  };
  // The lane whose entry goes first has the highest rank: many entries, and of those with as many
  // the one whose first is the oldest.
  using Rank = std::tuple<size_t, int64_t, Lane*>;
  // All of one source and code.
  struct Group {
    size_t size = 0;
    std::map<std::string, Lane> lanes;
    std::set<Rank> ranks;  // of all lanes
  };
  using Groups = std::map<std::pair<std::string, std::string>, Group>;
  struct Place {
    Groups::iterator group;
    Lane* lane;
    std::list<RefusedRequestPtr>::iterator entry;
  };

  static std::string KeyOf(const RefusedRequest& request);
  static Rank RankOf(Lane& lane);

  // Adds the entry, which is the newest.
  void Insert(const std::string& key, const RefusedRequestPtr& entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  RefusedRequestPtr Remove(const Place& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Removes the entry that is to make room. REQUIRES: there is one.
  RefusedRequestPtr RemoveOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<RefusedRequestPtr> All() const ABSL_LOCKS_EXCLUDED(mu_);  // the newest first

  // Constant after construction.
  const size_t max_entries_;

  mutable absl::Mutex mu_;
  int64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
  Groups groups_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Place> places_ ABSL_GUARDED_BY(mu_);  // by KeyOf
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_STATUS_REFUSED_REQUESTS_H_
