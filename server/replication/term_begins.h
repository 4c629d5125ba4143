// Where terms begin in the log, as far as this process has read it: what tells whether a record
// that another replica has applied is still there. A log that has lost its end goes on with other
// records at the same indexes, but never in a term that there was before.
#ifndef HOOKGATE_SERVER_REPLICATION_TERM_BEGINS_H_
#define HOOKGATE_SERVER_REPLICATION_TERM_BEGINS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "server/replication/replicated_log.h"

namespace hookgate {

// What another replica says of itself.
struct PeerTail {
  std::string name;
  LogIndex index = 0;  // the newest record that it has applied; 0: it has not said
  int64_t term = 0;    // of that record; 0: it has not said
};

// Not thread-safe.
class TermBegins {
 public:
  static constexpr size_t kMost = 1000;  // of the newest

  // `term` begins with the record at `index`.
  void Note(int64_t term, LogIndex index);

  // Whether the log has another record where that replica has its newest: a later term begins
  // there, or before. False if nothing that was read tells.
  bool Contradict(const PeerTail& peer) const;

 private:
  std::map<int64_t, LogIndex> begins_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_REPLICATION_TERM_BEGINS_H_
