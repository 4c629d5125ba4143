#include "server/cluster/log_trimmer.h"

#include <utility>
#include <vector>

#include "server/base/current_thread.h"
#include "server/base/logging.h"
#include "server/base/status.h"
#include "server/replication/record.h"
#include "server/replication/record.pb.h"

namespace hookgate {
namespace {

// Also for how long a setting may be unsafe that somebody has changed.
constexpr absl::Duration kLongestInterval = absl::Minutes(1);
constexpr absl::Duration kShortestInterval = absl::Milliseconds(100);
// So that what was held for long enough is known to within a part of that.
constexpr int kTrimsPerRetention = 20;

absl::StatusOr<absl::Time> TimeOf(ReplicatedLog& log, LogIndex index) {
  ASSIGN_OR_RETURN(const std::vector<LogRecord> page,
                   log.Read(index, {.max_records = 1, .max_bytes = 1}));
  if (page.empty()) return absl::InfiniteFuture();
  replication::v1::Record record;
  RETURN_IF_ERROR(ParseRecord(page.front().bytes, record));
  return absl::FromUnixMicros(record.time_us());
}

}  // namespace

void TrimPoint::NoteApplied(LogIndex applied, absl::Duration now) {
  if (!marks_.empty() && marks_.back().applied == applied) return;
  marks_.push_back({applied, now});
  // Of those that are old enough the newest says all.
  while (marks_.size() > 1 && marks_[1].at <= now - least_held()) marks_.pop_front();
}

absl::StatusOr<LogIndex> TrimPoint::Find(LogIndex lowest_applied, absl::Time wall,
                                         absl::Duration now) const {
  LogIndex last = 0;
  for (const Mark& mark : marks_) {
    if (mark.at <= now - least_held()) last = mark.applied;
  }
  last = std::min(last, lowest_applied);
  ASSIGN_OR_RETURN(const RecordRange range, log_.Last());
  // The first of [first, last] that is too young stays, with all after it.
  LogIndex first = range.first;
  while (first <= last) {
    const LogIndex middle = first + (last - first) / 2;
    ASSIGN_OR_RETURN(const absl::Time time, TimeOf(log_, middle));
    if (time <= wall - retention_) {
      first = middle + 1;
    } else {
      last = middle - 1;
    }
  }
  return first > range.first ? first - 1 : 0;
}

LogTrimmer::LogTrimmer(ReplicatedLog& log, absl::Duration retention, const Clock& clock,
                       std::function<Applied()> applied)
    : log_(log),
      retention_(retention),
      interval_(std::clamp(retention / kTrimsPerRetention, kShortestInterval, kLongestInterval)),
      clock_(clock),
      applied_(std::move(applied)),
      thread_([this] { Run(); }) {}

LogTrimmer::~LogTrimmer() {
  {
    MonotonicMutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void LogTrimmer::Run() {
  NameThread("log_trimmer");
  TrimPoint point(log_, retention_);
  while (true) {
    const Applied applied = applied_();
    // Also while another one leads: this one may be next.
    point.NoteApplied(applied.here, clock_.MonotonicNow());
    if (applied.leads && CheckSettings()) Trim(applied, point);
    MonotonicMutexLock lock(&mu_);
    if (mu_.AwaitWithTimeout([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; },
                             interval_)) {
      return;
    }
  }
}

// What is unsafe is told of by who appends as well.
bool LogTrimmer::CheckSettings() {
  const absl::Status status = log_.CheckSettings();
  if (status.ok() || absl::IsUnavailable(status)) return true;
  Log(Severity::kError, "the engine of the cluster's log is no longer safe: nothing is stored",
      {{"error", status.ToString()}});
  return false;
}

void LogTrimmer::Trim(const Applied& applied, const TrimPoint& point) {
  const absl::StatusOr<LogIndex> to =
      point.Find(applied.everywhere, clock_.WallNow(), clock_.MonotonicNow());
  if (to.ok() && *to == 0) return;
  absl::Status status = to.status();
  if (to.ok()) {
    const absl::StatusOr<RecordRange> left = log_.Trim(*to);
    status = left.status();
    if (left.ok()) {
      Log(Severity::kDebug, "the cluster's log was trimmed", {{"to", *to}, {"last", left->last}});
    }
  }
  // An engine that is away is told of by who appends.
  if (!status.ok() && !absl::IsUnavailable(status)) {
    Log(Severity::kWarning, "the cluster's log could not be trimmed",
        {{"error", status.ToString()}});
  }
}

}  // namespace hookgate
