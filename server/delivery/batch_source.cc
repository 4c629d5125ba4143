#include "server/delivery/batch_source.h"

#include <algorithm>
#include <memory>

#include "server/base/status.h"
#include "server/base/wake_batch.h"
#include "server/delivery/event_encoding.h"

namespace hookgate {

BatchSource::Next BatchSource::TryNext(const Selection& selection, Sequence after) {
  const Tail::Extent extent = tail_.extent();
  BatchFramePtr known = cache_.Find(selection.key(), after);
  if (known != nullptr && IsWorthSending(*known, extent.head) &&
      (after >= extent.after || IsHeld(after))) {
    return {.kind = Next::Kind::kBatch, .batch = std::move(known), .head = extent.head};
  }
  const auto most =
      std::min(limits_.max_batch_events, static_cast<size_t>(BlockEnd(after) - after));
  const absl::optional<Tail::Slice> slice = tail_.Read(after, most);
  if (!slice.has_value()) return {.kind = Next::Kind::kOnDisk};
  if (slice->events.empty()) return {.kind = Next::Kind::kNothingNew, .head = slice->head};
  return {.kind = Next::Kind::kBatch,
          .batch = FromTail(selection, after, slice->events),
          .head = slice->head};
}

bool BatchSource::Await(const Selection& selection, Sequence after, Done done) {
  absl::MutexLock lock(&mu_);
  const auto [read, is_new] = reads_.try_emplace({selection.key(), after});
  read->second.push_back(std::move(done));
  return is_new;
}

absl::optional<Sequence> BatchSource::Read(const Selection& selection, Sequence after, int ahead) {
  const absl::StatusOr<BatchFramePtr> batch = FromCacheOrLog(selection, after);
  {
    WakeBatch wakes;
    for (Done& done : TakeWaiting(selection, after)) std::move(done)(batch);
  }
  if (ahead == limits_.read_ahead || !batch.ok() || !(*batch)->full) return absl::nullopt;
  const Sequence next = (*batch)->through;
  absl::MutexLock lock(&mu_);
  // Not if somebody reads it.
  return reads_.try_emplace({selection.key(), next}).second ? absl::make_optional(next)
                                                            : absl::nullopt;
}

std::vector<BatchSource::Done> BatchSource::TakeWaiting(const Selection& selection,
                                                        Sequence after) {
  absl::MutexLock lock(&mu_);
  const auto read = reads_.find({selection.key(), after});
  std::vector<Done> waiting = std::move(read->second);
  reads_.erase(read);
  return waiting;
}

// Somebody may have read it since a stream has looked for it.
absl::StatusOr<BatchFramePtr> BatchSource::FromCacheOrLog(const Selection& selection,
                                                          Sequence after) {
  BatchFramePtr known = cache_.Find(selection.key(), after);
  if (known != nullptr && known->full && IsHeld(after)) return known;
  return FromLog(selection, after);
}

bool BatchSource::IsHeld(Sequence after) const { return after + 1 >= log_.Position().earliest; }

// A batch that was begun when the log was shorter is sent again, unless one could send twice as
// much by now: who is behind would else follow in the small steps of those who are not.
bool BatchSource::IsWorthSending(const BatchFrame& frame, Sequence head) const {
  const Sequence most =
      std::min(head - frame.after, static_cast<Sequence>(limits_.max_batch_events));
  return frame.full || 2 * (frame.through - frame.after) >= most;
}

BatchFramePtr BatchSource::FromTail(const Selection& selection, Sequence after,
                                    const std::vector<StoredEventPtr>& events) {
  BatchFrame frame{.after = after};
  std::string elements;
  size_t matching = 0;
  for (const StoredEventPtr& event : events) {
    if (static_cast<int64_t>(elements.size()) >= limits_.max_batch_bytes) break;
    frame.through = event->sequence;
    if (!selection.filter().Matches(*event)) continue;
    AppendBatchElement(event->content(), log_.history(), selection.include_raw_body(), elements);
    ++matching;
  }
  return Finish(selection, std::move(frame), elements, matching);
}

absl::StatusOr<BatchFramePtr> BatchSource::FromLog(const Selection& selection, Sequence after) {
  ReadLimits limits;
  limits.max_events = static_cast<int64_t>(limits_.max_batch_events);
  limits.max_bytes = limits_.max_batch_bytes;
  limits.max_scanned = BlockEnd(after) - after;
  limits.include_raw_body = selection.include_raw_body();
  const auto in_filter = [&](const StoredEvent& event) {
    return selection.filter().Matches(event);
  };
  absl::optional<EventPredicate> matches;
  if (!selection.filter().admits_all()) matches.emplace(in_filter);
  std::string elements;
  elements.reserve(static_cast<size_t>(limits_.max_batch_bytes));
  size_t matching = 0;
  const auto append = [&](const EventContent& event) {
    AppendBatchElement(event, log_.history(), selection.include_raw_body(), elements);
    ++matching;
  };
  ASSIGN_OR_RETURN(const Sequence through, log_.Scan(after, matches, limits, append));
  return Finish(selection, {.after = after, .through = through}, elements, matching);
}

BatchFramePtr BatchSource::Finish(const Selection& selection, BatchFrame frame,
                                  const std::string& elements, size_t events) {
  frame.full = events >= limits_.max_batch_events ||
               static_cast<int64_t>(elements.size()) >= limits_.max_batch_bytes ||
               frame.through >= BlockEnd(frame.after);
  frame.events = static_cast<int64_t>(events);
  if (!elements.empty()) frame.bytes = EncodeBatchFrame(elements);
  auto shared = std::make_shared<const BatchFrame>(std::move(frame));
  // What leads nowhere, because there is nothing after it yet, is not the same a moment later.
  if (shared->through > shared->after) cache_.Put(selection.key(), shared);
  return shared;
}

}  // namespace hookgate
