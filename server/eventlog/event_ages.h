// How old what a log holds is, whatever becomes of the wall clock. Pure: no I/O, no waiting; times
// are passed in.
//
// The stamps of events do not decide: a clock that is wrong for a moment, in either direction,
// leaves wrong ones behind. What counts is the time that has passed while the log was open, by the
// monotonic clock. That runs on over restarts, since how long it was is stored. Marks say which
// events, and which entries of the quarantine, were stored by when, so that these are certainly
// older.
//
// Time during which the log was closed can be told by the wall clock alone. It is credited if the
// wall clock had not been set for kHold before the log was closed, and is not for kHold after it is
// opened. Until then, and if in doubt, things are taken to be younger than they are. So only a
// clock that is wrong for a day, and is set while the log is closed, can make them look older.
//
//   running    0 ──────────────▶ 40 h │ (closed for 10 days) │ 40 h ───────▶ 64 h: credited
//   marks          20 h: event 7      │                      │ 40 h: event 9, + 10 days
//   age of event 7                                             20 h ─▶       44 h + 10 days
#ifndef HOOKGATE_SERVER_EVENTLOG_EVENT_AGES_H_
#define HOOKGATE_SERVER_EVENTLOG_EVENT_AGES_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "server/eventlog/event_log.h"

namespace hookgate {

// Where the log ends, or a part of it: events up to `sequence`, quarantine entries and conflicts up
// to `touch`.
struct EventLogEnds {
  Sequence sequence = 0;
  int64_t touch = 0;  // grows whenever an entry is put in or repeated
};

// All up to `ends` was stored when the log had been open for `running`.
struct AgeMark {
  absl::Duration running;
  EventLogEnds ends;
  absl::Duration credit;  // by how much older it is than that, for the log was closed later
};

struct AgeClock {
  absl::Duration running;  // how long the log has been open in all
  // When the wall clock had last been left alone for kHold, and what it said then; nullopt: it has
  // been set since, or never was.
  struct Trusted {
    absl::Time wall;
    absl::Duration running;
  };
  absl::optional<Trusted> trusted;
};

struct StoredAges {
  std::vector<AgeMark> marks;  // by `running`
  absl::optional<AgeClock> clock;
};

// What there is to store. Marks replace those with the same `running`.
struct AgeChanges {
  std::vector<AgeMark> marks;
  absl::optional<AgeClock> clock;
  absl::optional<absl::Duration> first_mark;  // those with less `running` go

  bool empty() const { return marks.empty() && !clock.has_value() && !first_mark.has_value(); }
};

// What a log of an older version knows: the latest receive time among events up to `last` and after
// the entry before.
struct StampedEvents {
  Sequence last = 0;
  absl::Time latest;
};

// The ages of such a log, all by its own stamps: relative to `newest`, when the newest event was
// stored. Stamps after `newest` say nothing. Nor do those that are below one before them: the wall
// clock had been set, or they had been in quarantine. Such events are taken to be as young as the
// next one that does say something.
StoredAges AgesFromStamps(const std::vector<StampedEvents>& events, absl::Time newest);

// Not thread-safe.
class EventAges {
 public:
  // For so long the wall clock must not have been set before it is believed how long the log was
  // closed. An hour would do against a clock that is corrected soon after the machine has started;
  // a day leaves time for a person to look.
  static constexpr absl::Duration kHold = absl::Hours(24);
  static constexpr absl::Duration kMarkInterval = absl::Hours(1);
  static constexpr absl::Duration kStoreInterval = absl::Minutes(10);
  // A step of the wall clock that is none: clocks are not read at one moment, and are slewed.
  static constexpr absl::Duration kLeastJump = absl::Seconds(5);
  // To be closed for less is not credited.
  static constexpr absl::Duration kLeastCredit = absl::Minutes(1);

  // The log is opened, with all up to `ends` in it.
  EventAges(const StoredAges& stored, const EventLogEnds& ends, absl::Time wall,
            absl::Duration monotonic);

  // Some time has passed, and the log ends at `ends` now. Returns by how much the wall clock has
  // been set since the last time; zero: it has not been.
  absl::Duration Advance(const EventLogEnds& ends, absl::Time wall, absl::Duration monotonic);

  // All up to there is certainly older than `age`: by time that passed while the log was open, or
  // with what was credited, too.
  EventLogEnds OpenFor(absl::Duration age) const;
  EventLogEnds OlderThan(absl::Duration age) const;

  // What the wall clock says of how long the log was closed, and what is not credited yet; below
  // kLeastCredit: nothing is to be.
  absl::Duration uncredited() const;

  // Marks beyond `longest`, the longest age that is asked for, are not needed.
  void Forget(absl::Duration longest);

  // What changed since the last Stored; `all` includes what could wait.
  AgeChanges Changes(bool all) const;
  void Stored(const AgeChanges& changes);

 private:
  absl::Duration running() const { return opened_at_ + (monotonic_ - opened_monotonic_); }
  void AddMark(absl::Duration running, const EventLogEnds& ends);
  void TrustWall();
  EventLogEnds NewestOf(absl::Duration age, bool credited) const;

  std::vector<AgeMark> marks_;
  std::vector<absl::Duration> unstored_marks_;
  absl::optional<absl::Duration> unstored_first_;
  AgeClock clock_;
  absl::Duration stored_running_;
  bool store_now_ = true;

  absl::Duration opened_at_;  // running, when it was opened
  absl::Duration opened_monotonic_;
  absl::Time wall_;           // now
  absl::Duration monotonic_;  // now
  absl::Duration held_since_;
};

}  // namespace hookgate

#endif  // HOOKGATE_SERVER_EVENTLOG_EVENT_AGES_H_
