#include "server/eventlog/repeat_counts.h"

#include <algorithm>
#include <utility>

#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kUpsert[] = R"sql(
INSERT INTO repeats (sequence, duplicates, conflicts, last_receive_time_us) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (sequence) DO UPDATE SET duplicates = duplicates + ?2, conflicts = conflicts + ?3,
  last_receive_time_us = max(last_receive_time_us, ?4))sql";

}  // namespace

void RepeatCount::Add(const RepeatCount& other) {
  duplicates += other.duplicates;
  conflicts += other.conflicts;
  last = std::max(last, other.last);
}

absl::StatusOr<Statement> RepeatCounts::PrepareUpsert(Database& database) {
  return database.Prepare(kUpsert);
}

bool RepeatCounts::HasMany() const {
  absl::ReaderMutexLock lock(&mu_);
  return pending_.size() >= kManyPending;
}

void RepeatCounts::Add(absl::Span<const Repeat> group, Counts& counts) {
  for (const Repeat& repeat : group) {
    if (counts.size() >= kMaxPending && !counts.contains(repeat.sequence)) continue;
    counts[repeat.sequence].Add({.duplicates = repeat.same_body ? 1 : 0,
                                 .conflicts = repeat.same_body ? 0 : 1,
                                 .last = repeat.receive_time});
  }
}

absl::Status RepeatCounts::Write(absl::Span<const Repeat> group, Sequence earliest,
                                 Statement& upsert) {
  Counts counts;
  {
    absl::ReaderMutexLock lock(&mu_);
    if (pending_.empty() && group.empty()) return absl::OkStatus();
    counts = pending_;
  }
  Add(group, counts);
  for (const auto& [sequence, count] : counts) {
    if (sequence < earliest) continue;
    upsert.BindInt(1, sequence);
    upsert.BindInt(2, count.duplicates);
    upsert.BindInt(3, count.conflicts);
    upsert.BindInt(4, absl::ToUnixMicros(count.last));
    RETURN_IF_ERROR(upsert.Run());
  }
  written_ = true;
  return absl::OkStatus();
}

void RepeatCounts::Committed(absl::Span<const Repeat> group) {
  const bool written = std::exchange(written_, false);
  if (!written && group.empty()) return;
  absl::MutexLock lock(&mu_);
  if (written) {
    pending_.clear();
  } else {
    Add(group, pending_);
  }
}

RepeatCount RepeatCounts::Pending(Sequence sequence) const {
  absl::ReaderMutexLock lock(&mu_);
  const auto pending = pending_.find(sequence);
  return pending != pending_.end() ? pending->second : RepeatCount();
}

}  // namespace hookgate
