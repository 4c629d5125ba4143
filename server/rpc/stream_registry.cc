#include "server/rpc/stream_registry.h"

#include <utility>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/base/wake_batch.h"

namespace hookgate {

absl::Status DrainingError() {
  return ErrorWithReason(absl::StatusCode::kUnavailable, reason::kDraining,
                         "the gateway is shutting down and accepts no calls: try again soon");
}

absl::Status StreamRegistry::Add(const std::shared_ptr<OpenStream>& stream) {
  MonotonicMutexLock lock(&mu_);
  if (draining_) {
    return DrainingError();
  }
  if (streams_.size() >= max_streams_) {
    return ErrorWithReason(
        absl::StatusCode::kResourceExhausted, reason::kTooManyStreams,
        absl::StrCat(max_streams_,
                     " streams are open already, as many as grpc.max_streams allows"));
  }
  stream->id_ = ++last_id_;
  streams_.emplace(stream->id_, stream);
  return absl::OkStatus();
}

void StreamRegistry::Remove(OpenStream* stream) {
  std::shared_ptr<OpenStream> last;  // Its destructor runs without the lock.
  MonotonicMutexLock lock(&mu_);
  const auto found = streams_.find(stream->id_);
  if (found == streams_.end()) return;
  last = std::move(found->second);
  streams_.erase(found);
}

size_t StreamRegistry::size() const {
  MonotonicMutexLock lock(&mu_);
  return streams_.size();
}

std::vector<std::pair<int64_t, std::shared_ptr<OpenStream>>> StreamRegistry::After(
    int64_t id, size_t max) const {
  std::vector<std::pair<int64_t, std::shared_ptr<OpenStream>>> streams;
  streams.reserve(max);
  MonotonicMutexLock lock(&mu_);
  for (auto next = streams_.upper_bound(id); next != streams_.end() && streams.size() < max;
       ++next) {
    streams.emplace_back(next->first, next->second);
  }
  return streams;
}

StreamsBehind StreamRegistry::CountBehind(int64_t head) const {
  std::vector<std::shared_ptr<OpenStream>> streams;
  {
    MonotonicMutexLock lock(&mu_);
    streams = All();
  }
  StreamsBehind behind;
  for (const auto& stream : streams) stream->CountIfBehind(head, behind);
  return behind;
}

std::vector<std::shared_ptr<OpenStream>> StreamRegistry::All() const {
  std::vector<std::shared_ptr<OpenStream>> streams;
  for (const auto& [id, stream] : streams_) streams.push_back(stream);
  return streams;
}

void StreamRegistry::RecheckAll() {
  std::vector<std::shared_ptr<OpenStream>> streams;
  {
    MonotonicMutexLock lock(&mu_);
    streams = All();
  }
  WakeBatch batch;
  for (const auto& stream : streams) stream->Recheck();
}

void StreamRegistry::DrainAll(absl::Duration spread) {
  std::vector<std::shared_ptr<OpenStream>> streams;
  {
    MonotonicMutexLock lock(&mu_);
    draining_ = true;
    streams = All();
  }
  absl::BitGen random;
  WakeBatch batch;
  for (const auto& stream : streams) {
    stream->Drain(absl::Uniform(random, 0.0, 1.0) * spread);
  }
}

bool StreamRegistry::WaitUntilEmpty(absl::Duration patience) const {
  const auto empty = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return streams_.empty(); };
  MonotonicMutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(empty, patience);
}

}  // namespace hookgate
