#include "server/eventlog/event_ages.h"

#include <algorithm>

namespace hookgate {
namespace {

bool IsBefore(const AgeMark& mark, absl::Duration running) { return mark.running < running; }

}  // namespace

StoredAges AgesFromStamps(const std::vector<StampedEvents>& events, absl::Time newest) {
  StoredAges ages;
  ages.clock = AgeClock{.trusted = AgeClock::Trusted{.wall = newest}};
  absl::Time latest = absl::InfinitePast();
  for (const StampedEvents& each : events) {
    if (each.latest > newest || each.latest < latest) continue;
    latest = each.latest;
    ages.marks.push_back({.running = latest - newest, .ends = {.sequence = each.last}});
  }
  // Of marks of one time the last says most.
  std::vector<AgeMark>& marks = ages.marks;
  for (size_t i = marks.size(); i-- > 1;) {
    if (marks[i - 1].running == marks[i].running) {
      marks.erase(marks.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
  }
  return ages;
}

EventAges::EventAges(const StoredAges& stored, const EventLogEnds& ends, absl::Time wall,
                     absl::Duration monotonic)
    : marks_(stored.marks),
      clock_(stored.clock.value_or(AgeClock())),
      opened_monotonic_(monotonic),
      wall_(wall),
      monotonic_(monotonic),
      held_since_(monotonic) {
  opened_at_ = clock_.running;
  // After a crash the clock may be older than the newest mark. A mark of its own for what was there
  // at the start: what is credited belongs to nothing newer.
  if (!marks_.empty() && marks_.back().running >= opened_at_) {
    opened_at_ = marks_.back().running + absl::Microseconds(1);
  }
  clock_.running = opened_at_;
  stored_running_ = opened_at_;
  AddMark(opened_at_, ends);
}

absl::Duration EventAges::Advance(const EventLogEnds& ends, absl::Time wall,
                                  absl::Duration monotonic) {
  const absl::Duration step = (wall - wall_) - (monotonic - monotonic_);
  wall_ = wall;
  monotonic_ = monotonic;
  clock_.running = running();
  const bool jumped = absl::AbsDuration(step) >= kLeastJump;
  if (jumped) {
    held_since_ = monotonic;
    store_now_ = true;
    // It was wrong before, or it is wrong now; which one it was nobody knows.
    clock_.trusted.reset();
  } else if (monotonic - held_since_ >= kHold) {
    TrustWall();
  }
  const AgeMark& last = marks_.back();
  const bool longer = ends.sequence > last.ends.sequence || ends.touch > last.ends.touch;
  if (longer && clock_.running - last.running >= kMarkInterval) AddMark(clock_.running, ends);
  return jumped ? step : absl::ZeroDuration();
}

absl::Duration EventAges::uncredited() const {
  if (!clock_.trusted.has_value()) return absl::ZeroDuration();
  return (wall_ - clock_.trusted->wall) - (clock_.running - clock_.trusted->running);
}

// The log was closed after the moment at which the clock was trusted last. What is credited goes to
// the first mark from then on: that is the start after the log was closed, or a mark before it.
void EventAges::TrustWall() {
  const absl::Duration credit = uncredited();
  if (credit >= kLeastCredit) {
    const auto mark =
        std::lower_bound(marks_.begin(), marks_.end(), clock_.trusted->running, IsBefore);
    if (mark != marks_.end()) {
      mark->credit += credit;
      unstored_marks_.push_back(mark->running);
    }
    store_now_ = true;
  }
  store_now_ = store_now_ || !clock_.trusted.has_value();
  clock_.trusted = AgeClock::Trusted{.wall = wall_, .running = clock_.running};
}

void EventAges::AddMark(absl::Duration running, const EventLogEnds& ends) {
  marks_.push_back({.running = running, .ends = ends});
  unstored_marks_.push_back(running);
}

EventLogEnds EventAges::NewestOf(absl::Duration age, bool credited) const {
  absl::Duration credit;
  for (auto mark = marks_.rbegin(); mark != marks_.rend(); ++mark) {
    if (credited) credit += mark->credit;
    if (clock_.running - mark->running + credit >= age) return mark->ends;
  }
  return {};
}

EventLogEnds EventAges::OpenFor(absl::Duration age) const {
  return NewestOf(age, /*credited=*/false);
}

EventLogEnds EventAges::OlderThan(absl::Duration age) const {
  return NewestOf(age, /*credited=*/true);
}

// Without credit, so that what is left answers both questions.
void EventAges::Forget(absl::Duration longest) {
  const auto first =
      std::lower_bound(marks_.begin(), marks_.end(), clock_.running - longest, IsBefore);
  // The last one before it says that there is something as old as that.
  if (first == marks_.begin() || first - 1 == marks_.begin()) return;
  marks_.erase(marks_.begin(), first - 1);
  unstored_first_ = marks_.front().running;
  // The stored clock may still refer to one that is gone: its credit goes to the next then.
}

AgeChanges EventAges::Changes(bool all) const {
  AgeChanges changes;
  for (const absl::Duration running : unstored_marks_) {
    const auto mark = std::lower_bound(marks_.begin(), marks_.end(), running, IsBefore);
    if (mark != marks_.end() && mark->running == running) changes.marks.push_back(*mark);
  }
  if (all || store_now_ || !changes.marks.empty() ||
      clock_.running - stored_running_ >= kStoreInterval) {
    changes.clock = clock_;
    changes.first_mark = unstored_first_;
  }
  return changes;
}

void EventAges::Stored(const AgeChanges& changes) {
  unstored_marks_.clear();
  if (!changes.clock.has_value()) return;
  unstored_first_.reset();
  stored_running_ = changes.clock->running;
  store_now_ = false;
}

}  // namespace hookgate
