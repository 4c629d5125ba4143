#include "server/metrics/metric_text.h"

#include <charconv>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/base/printable.h"

namespace hookgate {
namespace {

constexpr absl::string_view kTotal = "_total";
constexpr absl::string_view kInfo = "_info";

absl::string_view TypeText(MetricType type, MetricFormat format) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kInfo:
      break;
  }
  return format == MetricFormat::kOpenMetrics ? "info" : "gauge";
}

// What its lines begin with is a sample's name; in OpenMetrics the family has no suffix.
absl::string_view FamilyName(const MetricInfo& info, MetricFormat format) {
  absl::string_view name = info.name;
  if (format == MetricFormat::kText) return name;
  if (info.type == MetricType::kCounter && absl::EndsWith(name, kTotal)) {
    name.remove_suffix(kTotal.size());
  } else if (info.type == MetricType::kInfo && absl::EndsWith(name, kInfo)) {
    name.remove_suffix(kInfo.size());
  }
  return name;
}

// The shortest text that reads as the same number.
std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), value).ptr;
  return std::string(text, end);
}

std::string BoundText(double bound) {
  std::string text = NumberText(bound);
  const bool is_whole = text.find_first_not_of("0123456789") == std::string::npos;
  return is_whole ? absl::StrCat(text, ".0") : text;
}

void AppendLine(absl::string_view name, absl::string_view suffix, absl::string_view labels,
                absl::string_view value, std::string& text) {
  if (labels.empty()) {
    absl::StrAppend(&text, name, suffix, " ", value, "\n");
  } else {
    absl::StrAppend(&text, name, suffix, "{", labels, "} ", value, "\n");
  }
}

// A parameter's value may be a token or a quoted string (RFC 9110, 5.6.6). Of those that are looked
// for, none has a character that would be escaped.
absl::string_view Unquoted(absl::string_view value) {
  const bool quoted = value.size() >= 2 && value.front() == '"' && value.back() == '"';
  return quoted ? value.substr(1, value.size() - 2) : value;
}

// The q of the first of `ranges` that names one of `types`; a range with another version than
// `version` is passed over. 0: none does.
double QualityOf(const std::vector<absl::string_view>& ranges,
                 const std::vector<absl::string_view>& types, absl::string_view version) {
  for (const absl::string_view range : ranges) {
    const std::vector<absl::string_view> parts = absl::StrSplit(range, ';');
    const absl::string_view type = absl::StripAsciiWhitespace(parts[0]);
    bool fits = false;
    for (const absl::string_view wanted : types) {
      fits = fits || absl::EqualsIgnoreCase(type, wanted);
    }
    double quality = 1;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::pair<absl::string_view, absl::string_view> parameter =
          absl::StrSplit(parts[i], absl::MaxSplits('=', 1));
      const absl::string_view name = absl::StripAsciiWhitespace(parameter.first);
      const absl::string_view value = Unquoted(absl::StripAsciiWhitespace(parameter.second));
      if (absl::EqualsIgnoreCase(name, "version")) fits = fits && value == version;
      if (absl::EqualsIgnoreCase(name, "q") && !absl::SimpleAtod(value, &quality)) quality = 0;
    }
    if (fits) return quality;
  }
  return 0;
}

}  // namespace

MetricFormat FormatFor(absl::string_view accept) {
  const std::vector<absl::string_view> ranges = absl::StrSplit(accept, ',');
  const double open = QualityOf(ranges, {"application/openmetrics-text"}, "1.0.0");
  const double text = QualityOf(ranges, {"text/plain", "text/*", "*/*"}, "0.0.4");
  return open > 0 && open >= text ? MetricFormat::kOpenMetrics : MetricFormat::kText;
}

absl::string_view ContentTypeOf(MetricFormat format) {
  return format == MetricFormat::kOpenMetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

std::string LabelText(const MetricLabels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    // A backslash of the value is doubled first, so that no two values print alike: a sample that
    // comes twice with one set of labels spoils the scrape.
    const std::string printable = Printable(absl::StrReplaceAll(value, {{"\\", "\\\\"}}));
    const std::string escaped =
        absl::StrReplaceAll(printable, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
    absl::StrAppend(&text, text.empty() ? "" : ",", name, "=\"", escaped, "\"");
  }
  return text;
}

void AppendHead(const MetricInfo& info, MetricFormat format, std::string& text) {
  const absl::string_view name = FamilyName(info, format);
  absl::StrAppend(&text, "# HELP ", name, " ", info.help, "\n# TYPE ", name, " ",
                  TypeText(info.type, format), "\n");
}

void AppendSample(absl::string_view name, absl::string_view labels, int64_t value,
                  std::string& text) {
  AppendLine(name, "", labels, absl::StrCat(value), text);
}

void AppendSample(absl::string_view name, absl::string_view labels, double value,
                  std::string& text) {
  AppendLine(name, "", labels, NumberText(value), text);
}

void AppendHistogram(absl::string_view name, absl::string_view labels, const Histogram& histogram,
                     std::string& text) {
  const absl::string_view comma = labels.empty() ? "" : ",";
  int64_t count = 0;
  for (size_t i = 0; i < histogram.bounds().size(); ++i) {
    count += histogram.count(i);
    absl::StrAppend(&text, name, "_bucket{", labels, comma, "le=\"",
                    BoundText(histogram.bounds()[i]), "\"} ", count, "\n");
  }
  count += histogram.count(histogram.bounds().size());
  absl::StrAppend(&text, name, "_bucket{", labels, comma, "le=\"+Inf\"} ", count, "\n");
  AppendLine(name, "_sum", labels, NumberText(histogram.sum()), text);
  AppendLine(name, "_count", labels, absl::StrCat(count), text);
}

void AppendEnd(MetricFormat format, std::string& text) {
  if (format == MetricFormat::kOpenMetrics) absl::StrAppend(&text, "# EOF\n");
}

}  // namespace hookgate
