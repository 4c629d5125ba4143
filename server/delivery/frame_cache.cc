#include "server/delivery/frame_cache.h"

#include <utility>

namespace hookgate {

// Of an entry beside its bytes: list and map node, control block.
constexpr int64_t kEntryOverhead = 256;

int64_t FrameCache::BytesOf(const Entry& entry) {
  return static_cast<int64_t>(entry.selection.size() + entry.frame->bytes.size()) + kEntryOverhead;
}

BatchFramePtr FrameCache::Find(absl::string_view selection, Sequence after) {
  absl::MutexLock lock(&mu_);
  const auto found = index_.find({selection, after});
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->frame;
}

void FrameCache::Put(absl::string_view selection, BatchFramePtr frame) {
  Entries evicted;  // Freed without the lock.
  absl::MutexLock lock(&mu_);
  const auto evict = [&](Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    bytes_ -= BytesOf(*entry);
    index_.erase({entry->selection, entry->frame->after});
    evicted.splice(evicted.begin(), entries_, entry);
  };
  const auto before = index_.find({selection, frame->after});
  if (before != index_.end()) evict(before->second);
  entries_.push_front({std::string(selection), std::move(frame)});
  const auto entry = entries_.begin();
  index_.emplace(std::pair(absl::string_view(entry->selection), entry->frame->after), entry);
  bytes_ += BytesOf(*entry);
  while (bytes_ > max_bytes_) evict(std::prev(entries_.end()));
}

int64_t FrameCache::bytes() const {
  absl::MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace hookgate
