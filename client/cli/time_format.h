// Times and durations as people write and read them. Pure.
#ifndef HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_
#define HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace hookgate::cli {

// "90s", "15m", "1h30m", "2d", "500ms", "1.5h"; "-" before it is backwards. INVALID_ARGUMENT, with
// examples, for anything else; a number without a unit too, since nobody knows what it meant.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// A duration before `now`, or a moment as RFC 3339 has it: "2026-03-01T12:00:00Z". LocalTime's form
// is accepted as well, so that what is printed can be pasted. INVALID_ARGUMENT for anything else.
absl::StatusOr<absl::Time> ParseTime(absl::string_view text, absl::Time now);

// "24 h", "15 min", "2 d", "90 s", "250 ms": the largest unit that needs no fraction, and days only
// from two on; else "1.5 s".
std::string DurationText(absl::Duration duration);

// "3 min ago", "just now", "in 2 h": coarse, in one unit, rounded down.
std::string AgeText(absl::Time time, absl::Time now);

// "2026-03-01 13:00:00+01:00".
std::string LocalTime(absl::Time time, absl::TimeZone zone);

}  // namespace hookgate::cli

#endif  // HOOKGATE_CLIENT_CLI_TIME_FORMAT_H_
