// Which history a number of the log belongs to. A log can be put back: by a backup that is
// restored, or a folder that is copied and goes on at two places. From there on the same sequence
// is another event, and the same delivery number another delivery. So whatever names one to a
// client carries a mark that differs between the two.
//
// Each process that opens a log draws a random mark for what it appends: its stretch. Where each
// stretch begins is stored in the transaction that stores its first event, so that a copy of the
// log has the stretches of the events that it has. A mark costs nothing to look up, says the same
// for as long as the log lives, and needs no event: retention may have removed it.
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_HISTORY_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_HISTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {

// 0 stands for what is before the first stretch: of a log that is older than this, and the place
// before its first event.
using HistoryMark = uint32_t;

// What one process has numbered: from `first` to before the next stretch.
struct Stretch {
  int64_t first = 1;
  HistoryMark mark = 0;
};

// The stretches of one row of numbers, such as the sequences of a log. Constant; thread-safe.
class Stretches {
 public:
  Stretches() = default;
  // In ascending order of `first`.
  explicit Stretches(std::vector<Stretch> stretches) : stretches_(std::move(stretches)) {}

  HistoryMark MarkAt(int64_t number) const;
  // The last number of the newest stretch with this mark; infinitely large if it is the last one.
  // Nullopt if there is none.
  absl::optional<int64_t> LastOf(HistoryMark mark) const;

 private:
  std::vector<Stretch> stretches_;
};

// A log that this one was before it was restored from a backup (hookgated --restore).
struct FormerEpoch {
  std::string epoch;
  int64_t head = 0;  // the sequence of the newest event that the backup held
  absl::Time restore_time;
};

// Constant; thread-safe.
struct EventLogHistory {
  // Random id made with the log, or when it was restored: 16 lower-case hex digits.
  std::string epoch;
  HistoryMark mark = 0;  // of what this process numbers
  Stretches sequences;
  std::vector<FormerEpoch> former;
};

// Random, and not 0.
HistoryMark NewHistoryMark();
// Random: 16 lower-case hex digits.
std::string NewEpoch();

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_LOG_HISTORY_H_
