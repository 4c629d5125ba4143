#include "client/cli/time_format.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

namespace hookgate::cli {
namespace {

constexpr char kDurationForms[] = "a duration such as 90s, 15m, 1h30m or 2d";
constexpr double kLongestSeconds = 1e10;  // Some 300 years; also keeps arithmetic finite.

struct Unit {
  const char* typed;
  const char* shown;
  absl::Duration length;
};

// From the largest on. "ms" stands before "m", which it begins with.
const Unit kUnits[] = {{"d", " d", absl::Hours(24)},
                       {"h", " h", absl::Hours(1)},
                       {"ms", " ms", absl::Milliseconds(1)},
                       {"m", " min", absl::Minutes(1)},
                       {"s", " s", absl::Seconds(1)}};

const Unit* ConsumeUnit(absl::string_view& text) {
  for (const Unit& unit : kUnits) {
    if (absl::ConsumePrefix(&text, unit.typed)) return &unit;
  }
  return nullptr;
}

// False if `text` does not begin with a number and a unit.
bool ConsumePart(absl::string_view& text, absl::Duration& sum) {
  size_t digits = 0;
  while (digits < text.size() && (absl::ascii_isdigit(text[digits]) || text[digits] == '.')) {
    ++digits;
  }
  double number = 0;
  if (digits == 0 || !absl::SimpleAtod(text.substr(0, digits), &number)) return false;
  text.remove_prefix(digits);
  const Unit* unit = ConsumeUnit(text);
  if (unit == nullptr) return false;
  if (number * absl::ToDoubleSeconds(unit->length) > kLongestSeconds) return false;
  sum += number * unit->length;
  return true;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::string_view rest = text;
  const bool backwards = absl::ConsumePrefix(&rest, "-");
  absl::Duration sum;
  do {
    if (!ConsumePart(rest, sum)) return absl::InvalidArgumentError(kDurationForms);
  } while (!rest.empty());
  return backwards ? -sum : sum;
}

absl::StatusOr<absl::Time> ParseTime(absl::string_view text, absl::Time now) {
  if (const auto ago = ParseDuration(text); ago.ok() && *ago >= absl::ZeroDuration()) {
    return now - *ago;
  }
  absl::Time time;
  for (const char* format : {absl::RFC3339_full, "%Y-%m-%d %H:%M:%E*S%Ez"}) {
    if (absl::ParseTime(format, text, &time, nullptr) && time > absl::InfinitePast() &&
        time < absl::InfiniteFuture()) {
      return time;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("how long ago, as ", kDurationForms,
                                                 ", or a time such as 2026-03-01T12:00:00Z"));
}

std::string DurationText(absl::Duration duration) {
  const struct {
    absl::Duration least;
    const Unit& unit;
  } kSteps[] = {{absl::Hours(48), kUnits[0]},
                {absl::Hours(1), kUnits[1]},
                {absl::Minutes(1), kUnits[3]},
                {absl::Seconds(1), kUnits[4]}};
  for (const auto& step : kSteps) {
    if (duration >= step.least && duration % step.unit.length == absl::ZeroDuration()) {
      return absl::StrCat(duration / step.unit.length, step.unit.shown);
    }
  }
  if (duration == absl::ZeroDuration()) return "0 s";
  if (duration < absl::Seconds(1)) return absl::StrCat(absl::ToInt64Milliseconds(duration), " ms");
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

std::string AgeText(absl::Time time, absl::Time now) {
  const absl::Duration age = now - time;
  const absl::Duration distance = absl::AbsDuration(age);
  if (distance < absl::Seconds(5)) return "just now";
  const Unit& unit = distance < absl::Minutes(1)  ? kUnits[4]
                     : distance < absl::Hours(1)  ? kUnits[3]
                     : distance < absl::Hours(48) ? kUnits[1]
                                                  : kUnits[0];
  const std::string text = absl::StrCat(distance / unit.length, unit.shown);
  return age > absl::ZeroDuration() ? absl::StrCat(text, " ago") : absl::StrCat("in ", text);
}

std::string LocalTime(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S%Ez", time, zone);
}

}  // namespace hookgate::cli
