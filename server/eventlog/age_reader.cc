#include "server/eventlog/age_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

constexpr char kMarks[] =
    "SELECT running_us, last_sequence, last_touch, credit_us FROM age_marks ORDER BY running_us";
constexpr char kClock[] =
    "SELECT running_us, trusted, trusted_wall_us, trusted_running_us FROM age_clock";
// Rows of which some bit is not as it was written.
constexpr char kDamaged[] = R"sql(
SELECT (SELECT count(*) FROM age_marks
        WHERE sum IS NOT running_us + 3 * last_sequence + 5 * last_touch + 7 * credit_us) +
       (SELECT count(*) FROM age_clock
        WHERE sum IS NOT running_us + 3 * trusted + 5 * trusted_wall_us + 7 * trusted_running_us))sql";
constexpr char kNewest[] =
    "SELECT receive_time_us FROM events WHERE sequence > ?1 AND sequence <= ?2";
// The times alone, without reading the events: each event is in one of two indexes.
constexpr char kFailureTimes[] =
    "SELECT sequence, receive_time_us FROM events INDEXED BY failures_by_time WHERE failure = 1";
constexpr char kOtherTimes[] =
    "SELECT sequence, receive_time_us FROM events INDEXED BY other_events_by_time "
    "WHERE failure = 0";

// Of so many that were stored last, the latest stamp counts, if it is not in the future: a single
// one may be wrong.
constexpr Sequence kNewestStamps = 100;
// Into how many parts the events of an older log are divided.
constexpr int64_t kParts = 4096;

absl::Status ReadMarks(Database& database, std::vector<AgeMark>& marks) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kMarks));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return absl::OkStatus();
    marks.push_back({.running = absl::Microseconds(rows.ColumnInt(0)),
                     .ends = {.sequence = rows.ColumnInt(1), .touch = rows.ColumnInt(2)},
                     .credit = absl::Microseconds(rows.ColumnInt(3))});
  }
}

absl::Status ReadClock(Database& database, absl::optional<AgeClock>& clock) {
  ASSIGN_OR_RETURN(Statement row, database.Prepare(kClock));
  ASSIGN_OR_RETURN(const bool there, row.Step());
  if (!there) return absl::OkStatus();
  clock = AgeClock{.running = absl::Microseconds(row.ColumnInt(0))};
  if (row.ColumnInt(1) != 0) {
    clock->trusted = AgeClock::Trusted{.wall = absl::FromUnixMicros(row.ColumnInt(2)),
                                       .running = absl::Microseconds(row.ColumnInt(3))};
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> ReadNewest(Database& database, const EventLogPosition& position,
                                      absl::Time wall) {
  ASSIGN_OR_RETURN(Statement rows, database.Prepare(kNewest));
  rows.BindInt(1, std::max(position.head - kNewestStamps, position.earliest - 1));
  rows.BindInt(2, position.head);
  absl::Time newest = absl::InfinitePast();
  while (true) {
    ASSIGN_OR_RETURN(const bool row, rows.Step());
    if (!row) return newest == absl::InfinitePast() ? wall : newest;
    const absl::Time stamp = absl::FromUnixMicros(rows.ColumnInt(0));
    if (stamp <= wall) newest = std::max(newest, stamp);
  }
}

}  // namespace

absl::StatusOr<int64_t> CountDamagedAges(Database& database) {
  ASSIGN_OR_RETURN(Statement row, database.Prepare(kDamaged));
  ASSIGN_OR_RETURN(const bool there, row.Step());
  return there ? row.ColumnInt(0) : 0;
}

absl::StatusOr<bool> DropDamagedAges(Database& database) {
  ASSIGN_OR_RETURN(const int64_t damaged, CountDamagedAges(database));
  if (damaged == 0) return false;
  ASSIGN_OR_RETURN(Transaction transaction,
                   Transaction::Begin(database, Transaction::Kind::kWrite));
  RETURN_IF_ERROR(database.Execute("DELETE FROM age_marks"));
  RETURN_IF_ERROR(database.Execute("DELETE FROM age_clock"));
  RETURN_IF_ERROR(transaction.Commit());
  return true;
}

absl::StatusOr<StoredAges> ReadAges(Database& database, const EventLogPosition& position,
                                    absl::Time wall) {
  StoredAges ages;
  // Those that could not be removed, as on a full disk, are not believed either.
  ASSIGN_OR_RETURN(const int64_t damaged, CountDamagedAges(database));
  if (damaged == 0) {
    RETURN_IF_ERROR(ReadMarks(database, ages.marks));
    RETURN_IF_ERROR(ReadClock(database, ages.clock));
  }
  if (!ages.marks.empty() || position.head < position.earliest) return ages;
  const int64_t count = position.head - position.earliest + 1;
  const int64_t part = (count + kParts - 1) / kParts;
  std::vector<StampedEvents> events(static_cast<size_t>((count + part - 1) / part));
  for (size_t i = 0; i < events.size(); ++i) {
    events[i] = {
        .last = std::min(position.earliest + static_cast<int64_t>(i + 1) * part - 1, position.head),
        .latest = absl::InfinitePast()};
  }
  ASSIGN_OR_RETURN(const absl::Time newest, ReadNewest(database, position, wall));
  for (const char* const sql : {kFailureTimes, kOtherTimes}) {
    ASSIGN_OR_RETURN(Statement rows, database.Prepare(sql));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, rows.Step());
      if (!row) break;
      const Sequence sequence = rows.ColumnInt(0);
      const absl::Time time = absl::FromUnixMicros(rows.ColumnInt(1));
      if (sequence < position.earliest || sequence > position.head || time > newest) continue;
      StampedEvents& events_of = events[static_cast<size_t>((sequence - position.earliest) / part)];
      events_of.latest = std::max(events_of.latest, time);
    }
  }
  return AgesFromStamps(events, newest);
}

}  // namespace hookgate
