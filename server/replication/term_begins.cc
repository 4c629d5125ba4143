#include "server/replication/term_begins.h"

namespace hookgate {

void TermBegins::Note(int64_t term, LogIndex index) {
  begins_[term] = index;
  if (begins_.size() > kMost) begins_.erase(begins_.begin());
}

bool TermBegins::Contradict(const PeerTail& peer) const {
  if (peer.index == 0 || peer.term == 0) return false;
  // Later terms begin later still.
  const auto next = begins_.upper_bound(peer.term);
  return next != begins_.end() && next->second <= peer.index;
}

}  // namespace hookgate
