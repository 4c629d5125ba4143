#include "server/eventlog/receive_times.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/memory/memory.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kLoadBlocks[] =
    "SELECT block, latest_us FROM receive_time_blocks WHERE block >= ?1 ORDER BY block";
constexpr char kInsertBlock[] =
    "INSERT INTO receive_time_blocks (block, latest_us) VALUES (?1, ?2) "
    "ON CONFLICT (block) DO UPDATE SET latest_us = ?2";
constexpr char kDeleteBlocks[] = "DELETE FROM receive_time_blocks WHERE block < ?1";
constexpr char kTimesFrom[] =
    "SELECT sequence, receive_time_us FROM events WHERE sequence >= ?1 ORDER BY sequence";
// The times alone, without reading the events: each event is in one of two indexes.
constexpr char kFailureTimes[] =
    "SELECT sequence, receive_time_us FROM events INDEXED BY failures_by_time WHERE failure = 1";
constexpr char kOtherTimes[] =
    "SELECT sequence, receive_time_us FROM events INDEXED BY other_events_by_time "
    "WHERE failure = 0";

// Where so many blocks are missing, their events are not read; the indexes are.
constexpr int64_t kBlocksToRead = 4;

constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

int64_t BlockOf(Sequence sequence) { return sequence / ReceiveTimes::kBlock; }

}  // namespace

absl::StatusOr<std::unique_ptr<ReceiveTimes>> ReceiveTimes::Open(Database& database,
                                                                 const EventLogPosition& position,
                                                                 bool may_write) {
  auto times = absl::WrapUnique(new ReceiveTimes(BlockOf(position.earliest)));
  RETURN_IF_ERROR(times->LoadBlocks(database, BlockOf(position.head + 1)));
  RETURN_IF_ERROR(times->Fill(database, position, may_write));
  return times;
}

// Those before `end` that follow each other from the first one held on.
absl::Status ReceiveTimes::LoadBlocks(Database& database, int64_t end) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kLoadBlocks));
  absl::MutexLock lock(&mu_);
  rows.BindInt(1, first_block_);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    const int64_t block = rows.ColumnInt(0);
    if (block >= end || block != first_block_ + static_cast<int64_t>(latest_us_.size())) {
      return absl::OkStatus();
    }
    latest_us_.push_back(rows.ColumnInt(1));
  }
}

absl::Status ReceiveTimes::Fill(Database& database, const EventLogPosition& position,
                                bool may_write) {
  Sequence from = 0;
  {
    absl::ReaderMutexLock lock(&mu_);
    from = std::max(position.earliest,
                    (first_block_ + static_cast<int64_t>(latest_us_.size())) * kBlock);
  }
  Blocks found;
  const auto read = [&](const char* sql, bool from_there) -> absl::Status {
    ASSIGN_OR_RETURN(Statement rows, database.Prepare(sql));
    if (from_there) rows.BindInt(1, from);
    while (true) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) return absl::OkStatus();
      if (rows.ColumnInt(0) < from) continue;
      int64_t& latest = found.try_emplace(BlockOf(rows.ColumnInt(0)), kNever).first->second;
      latest = std::max(latest, rows.ColumnInt(1));
    }
  };
  if (position.head - from < kBlocksToRead * kBlock) {
    RETURN_IF_ERROR(read(kTimesFrom, true));
  } else {
    RETURN_IF_ERROR(read(kFailureTimes, false));
    RETURN_IF_ERROR(read(kOtherTimes, false));
  }
  {
    absl::MutexLock lock(&mu_);
    for (const auto& [block, latest_us] : found) Note(block, latest_us);
  }
  if (!may_write || found.empty() || found.begin()->first >= BlockOf(position.head + 1)) {
    return absl::OkStatus();
  }
  const absl::Status status = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(Transaction transaction,
                     Transaction::Begin(database, Transaction::Kind::kWrite));
    ASSIGN_OR_RETURN(Statement insert, database.Prepare(kInsertBlock));
    for (const auto& [block, latest_us] : found) {
      if (block >= BlockOf(position.head + 1)) break;
      insert.BindInt(1, block);
      insert.BindInt(2, latest_us);
      RETURN_IF_ERROR(insert.Run());
    }
    return transaction.Commit();
  }();
  // Another start will write them.
  if (absl::IsResourceExhausted(status) || absl::IsUnavailable(status)) return absl::OkStatus();
  return status;
}

void ReceiveTimes::Note(int64_t block, int64_t latest_us) {
  const auto at = static_cast<size_t>(std::max<int64_t>(block - first_block_, 0));
  if (at >= latest_us_.size()) latest_us_.resize(at + 1, kNever);
  latest_us_[at] = std::max(latest_us_[at], latest_us);
}

absl::optional<ReceiveTimes::Range> ReceiveTimes::FirstBlock(absl::Time time, Sequence from) const {
  const int64_t time_us = absl::ToUnixMicros(time);
  absl::ReaderMutexLock lock(&mu_);
  const int64_t begin = std::max<int64_t>(BlockOf(from) - first_block_, 0);
  if (begin >= static_cast<int64_t>(latest_us_.size())) return absl::nullopt;
  const auto found = std::find_if(latest_us_.begin() + begin, latest_us_.end(),
                                  [time_us](int64_t latest) { return latest >= time_us; });
  if (found == latest_us_.end()) return absl::nullopt;
  const Sequence first = (first_block_ + (found - latest_us_.begin())) * kBlock;
  return Range{first, first + kBlock - 1};
}

absl::optional<absl::Time> ReceiveTimes::Latest() const {
  absl::ReaderMutexLock lock(&mu_);
  const auto latest = std::max_element(latest_us_.begin(), latest_us_.end());
  if (latest == latest_us_.end() || *latest == kNever) return absl::nullopt;
  return absl::FromUnixMicros(*latest);
}

absl::Status ReceiveTimes::Write(Database& database, absl::Span<const StoredEventPtr> appended,
                                 Sequence earliest) {
  int64_t first_block = 0;
  for (const StoredEventPtr& event : appended) {
    int64_t& latest = written_.try_emplace(BlockOf(event->sequence), kNever).first->second;
    latest = std::max(latest, absl::ToUnixMicros(event->receive_time));
  }
  const int64_t end = appended.empty() ? 0 : BlockOf(appended.back()->sequence + 1);
  {
    absl::ReaderMutexLock lock(&mu_);
    first_block = first_block_;
    for (auto& [block, latest] : written_) {
      const int64_t at = block - first_block_;
      if (at < 0 || at >= static_cast<int64_t>(latest_us_.size())) continue;
      latest = std::max(latest, latest_us_[static_cast<size_t>(at)]);
    }
  }
  if (!written_.empty() && written_.begin()->first < end) {
    ASSIGN_OR_RETURN(Statement insert, database.Prepare(kInsertBlock));
    for (const auto& [block, latest] : written_) {
      if (block >= end) break;
      insert.BindInt(1, block);
      insert.BindInt(2, latest);
      RETURN_IF_ERROR(insert.Run());
    }
  }
  if (BlockOf(earliest) == first_block) return absl::OkStatus();
  ASSIGN_OR_RETURN(Statement remove, database.Prepare(kDeleteBlocks));
  remove.BindInt(1, BlockOf(earliest));
  RETURN_IF_ERROR(remove.Run());
  new_first_block_ = BlockOf(earliest);
  return absl::OkStatus();
}

void ReceiveTimes::Committed() {
  if (written_.empty() && !new_first_block_.has_value()) return;
  absl::MutexLock lock(&mu_);
  for (const auto& [block, latest] : written_) Note(block, latest);
  written_.clear();
  if (!new_first_block_.has_value()) return;
  const auto gone =
      std::min<int64_t>(*new_first_block_ - first_block_, static_cast<int64_t>(latest_us_.size()));
  latest_us_.erase(latest_us_.begin(), latest_us_.begin() + gone);
  first_block_ = *new_first_block_;
  new_first_block_.reset();
}

void ReceiveTimes::RolledBack() {
  written_.clear();
  new_first_block_.reset();
}

}  // namespace hookgate
