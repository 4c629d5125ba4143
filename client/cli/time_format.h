// Times and durations as people write and read them. Pure.
#ifndef HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_
#define HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate::cli {

// "90s", "15m", "1h30m", "2d", "1w", "500ms", "1.5h"; "-" before it is backwards. INVALID_ARGUMENT,
// with examples, for anything else; a number without a unit too, since nobody knows what it meant.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// One of
//   a duration before `now`       2d
//   a moment as RFC 3339 has it   2026-03-01T12:00:00Z, 2026-03-01T13:00:00.5+01:00
//   what LocalTime prints         2026-03-01 13:00:00+01:00
//   a time of the reader's        2026-03-01 13:00:00, 2026-03-01T13:00, 2026-03-01 13:00
//   the first moment of a day of the reader's   2026-03-01
// Seconds may be left out, and have a fraction. The reader's times are read in `zone`. One that
// comes twice there, when clocks are set back, or never, when they are set forward, is refused with
// the moments that may be meant. INVALID_ARGUMENT for anything else, and for a moment before the
// year 1 or after 9999, which no protobuf timestamp holds.
absl::StatusOr<absl::Time> ParseTime(absl::string_view text, absl::Time now, absl::TimeZone zone);

// What a flag that takes a time says of it in its help.
inline constexpr char kTimeForms[] =
    "how long ago, such as 15m, 2d or 1w; a local day or time, such as 2026-03-01 or \"2026-03-01 "
    "13:00\"; or one with its zone, such as 2026-03-01T12:00:00Z";

// "24 h", "15 min", "2 d", "90 s", "250 ms": the largest unit that needs no fraction, and days only
// from two on. If that unit would need a number above 120, in parts: "3 d 1 min". "1.5 s" for what
// is not whole seconds.
std::string DurationText(absl::Duration duration);

// For ages: the largest unit and what is over in the next one, "3 d 2 h", "5 h 12 min", "20 min";
// seconds alone up to 10 minutes, "90 s". Rounded down.
std::string CoarseDurationText(absl::Duration duration);

// "3 min ago", "just now", "in 2 h": coarse, in one unit, rounded down.
std::string AgeText(absl::Time time, absl::Time now);

// "2026-03-01 13:00:00+01:00".
std::string LocalTime(absl::Time time, absl::TimeZone zone);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_
