#include "client/cli/time_format.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/civil_time.h"
#include "server/base/status.h"

namespace hookgate::cli {
namespace {

constexpr char kDurationForms[] = "a duration such as 90s, 15m, 1h30m, 2d or 1w";
constexpr double kLongestSeconds = 1e10;  // Some 300 years; also keeps arithmetic finite.

struct Unit {
  const char* typed;
  const char* shown;
  absl::Duration length;
};

// From the largest on. "ms" stands before "m", which it begins with.
const Unit kDay = {"d", " d", absl::Hours(24)};
const Unit kHour = {"h", " h", absl::Hours(1)};
const Unit kMinute = {"m", " min", absl::Minutes(1)};
const Unit kSecond = {"s", " s", absl::Seconds(1)};
const Unit kUnits[] = {{"w", " w", absl::Hours(7 * 24)},     kDay,    kHour,
                       {"ms", " ms", absl::Milliseconds(1)}, kMinute, kSecond};

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

constexpr size_t kDaySize = sizeof("2026-03-01") - 1;

// absl::ParseTime skips blanks, and takes years of any length and words such as "infinite-past".
bool BeginsWithDay(absl::string_view text) {
  constexpr absl::string_view kPattern = "dddd-dd-dd";
  if (text.size() < kPattern.size() ||
      absl::ascii_isspace(static_cast<unsigned char>(text.back()))) {
    return false;
  }
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(text[i]));
    if (kPattern[i] == 'd' ? !digit : text[i] != '-') return false;
  }
  // One blank, or a T, and then a digit.
  return text.size() == kPattern.size() ||
         (text.size() > kPattern.size() + 1 &&
          absl::ascii_isdigit(static_cast<unsigned char>(text[kPattern.size() + 1])));
}

// RFC 3339 takes "t" and "z" as well.
std::string Upper(absl::string_view text) { return absl::AsciiStrToUpper(text); }

bool ParseCivil(absl::string_view text, const char* format, absl::CivilDay& day) {
  absl::Time time;
  if (!absl::ParseTime(format, text, &time, nullptr)) return false;
  day = absl::ToCivilDay(time, absl::UTCTimeZone());
  return true;
}

// Some zones set their clocks at midnight: a day may begin at 01:00, or twice.
absl::Time FirstMomentOf(absl::CivilDay day, absl::TimeZone zone) {
  const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(day));
  return info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre;
}

absl::StatusOr<absl::Time> OnlyMomentOf(absl::CivilSecond second, absl::TimeZone zone) {
  const absl::TimeZone::TimeInfo info = zone.At(second);
  switch (info.kind) {
    case absl::TimeZone::TimeInfo::UNIQUE:
      return info.pre;
    case absl::TimeZone::TimeInfo::REPEATED:
      return absl::InvalidArgumentError(absl::StrCat(
          "a time that is not ambiguous. Clocks are set back then, and this time occurs twice: \"",
          LocalTime(info.pre, zone), "\" and \"", LocalTime(info.post, zone), "\""));
    case absl::TimeZone::TimeInfo::SKIPPED:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a time that exists. Clocks are set forward then and skip this one, to \"",
                   LocalTime(info.trans, zone), "\""));
}

absl::StatusOr<absl::Time> Representable(absl::Time time) {
  static const absl::Time kFirst = absl::FromCivil(absl::CivilYear(1), absl::UTCTimeZone());
  static const absl::Time kEnd = absl::FromCivil(absl::CivilYear(10'000), absl::UTCTimeZone());
  if (time >= kFirst && time < kEnd) return time;
  return absl::InvalidArgumentError("a time of the years from 1 to 9999");
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

absl::StatusOr<absl::Time> ParseTime(absl::string_view text, absl::Time now, absl::TimeZone zone) {
  if (const auto ago = ParseDuration(text); ago.ok() && *ago >= absl::ZeroDuration()) {
    return Representable(now - *ago);
  }
  absl::Time time;
  for (const char* format : {"%Y-%m-%dT%H:%M:%E*S%Ez", "%Y-%m-%d %H:%M:%E*S%Ez",
                             "%Y-%m-%dT%H:%M%Ez", "%Y-%m-%d %H:%M%Ez"}) {
    if (BeginsWithDay(text) && absl::ParseTime(format, Upper(text), &time, nullptr)) {
      return Representable(time);
    }
  }
  absl::CivilDay day;
  if (BeginsWithDay(text) && text.size() == kDaySize && ParseCivil(text, "%Y-%m-%d", day)) {
    return Representable(FirstMomentOf(day, zone));
  }
  for (const char* format :
       {"%Y-%m-%dT%H:%M:%E*S", "%Y-%m-%d %H:%M:%E*S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"}) {
    // As if it were of a zone without changes, for the fraction of a second.
    if (!BeginsWithDay(text) || !absl::ParseTime(format, Upper(text), &time, nullptr)) continue;
    const absl::CivilSecond second = absl::ToCivilSecond(time, absl::UTCTimeZone());
    const absl::Duration fraction = time - absl::FromCivil(second, absl::UTCTimeZone());
    ASSIGN_OR_RETURN(const absl::Time whole, OnlyMomentOf(second, zone));
    return Representable(whole + fraction);
  }
  return absl::InvalidArgumentError(kTimeForms);
}

std::string DurationText(absl::Duration duration) {
  constexpr int64_t kLargestNumber = 120;
  if (duration == absl::ZeroDuration()) return "0 s";
  if (duration < absl::ZeroDuration()) return absl::StrCat("-", DurationText(-duration));
  if (duration < absl::Seconds(1)) return absl::StrCat(absl::ToInt64Milliseconds(duration), " ms");
  if (duration % kSecond.length != absl::ZeroDuration()) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  const struct {
    absl::Duration least;
    const Unit& unit;
  } kSteps[] = {{absl::Hours(48), kDay},
                {absl::Hours(1), kHour},
                {absl::Minutes(1), kMinute},
                {absl::Seconds(1), kSecond}};
  for (const auto& step : kSteps) {
    if (duration < step.least || duration % step.unit.length != absl::ZeroDuration()) continue;
    const int64_t number = duration / step.unit.length;
    if (&step.unit == &kDay || number <= kLargestNumber) {
      return absl::StrCat(number, step.unit.shown);
    }
  }
  std::string text;
  for (const Unit* unit : {&kDay, &kHour, &kMinute, &kSecond}) {
    const int64_t number = absl::IDivDuration(duration, unit->length, &duration);
    if (number > 0) absl::StrAppend(&text, text.empty() ? "" : " ", number, unit->shown);
  }
  return text;
}

std::string CoarseDurationText(absl::Duration duration) {
  if (duration < absl::Minutes(10)) return DurationText(absl::Trunc(duration, kSecond.length));
  const bool hours = duration >= kHour.length;
  const bool days = duration >= 2 * kDay.length;
  const Unit& large = days ? kDay : hours ? kHour : kMinute;
  const Unit& small = days ? kHour : hours ? kMinute : kSecond;
  const int64_t number = absl::IDivDuration(duration, large.length, &duration);
  const int64_t rest = duration / small.length;
  const std::string text = absl::StrCat(number, large.shown);
  return hours && rest > 0 ? absl::StrCat(text, " ", rest, small.shown) : text;
}

std::string AgeText(absl::Time time, absl::Time now) {
  const absl::Duration age = now - time;
  const absl::Duration distance = absl::AbsDuration(age);
  if (distance < absl::Seconds(5)) return "just now";
  const Unit& unit = distance < absl::Minutes(1)  ? kSecond
                     : distance < absl::Hours(1)  ? kMinute
                     : distance < absl::Hours(48) ? kHour
                                                  : kDay;
  const std::string text = absl::StrCat(distance / unit.length, unit.shown);
  return age > absl::ZeroDuration() ? absl::StrCat(text, " ago") : absl::StrCat("in ", text);
}

std::string LocalTime(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S%Ez", time, zone);
}

}  // namespace hookgate::cli
