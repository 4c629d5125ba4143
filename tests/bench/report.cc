#include "tests/bench/report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace hookgate {
namespace {

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<double> ValuesOf(const std::vector<Figure>& figures) {
  std::vector<double> values;
  for (const Figure& figure : figures) values.push_back(figure.value);
  return values;
}

std::string Number(double value) {
  return value >= 100 ? absl::StrFormat("%.0f", value) : absl::StrFormat("%.2f", value);
}

// "68297 (63497..71765) /s"
std::string WithRange(const std::vector<Figure>& figures, const std::string& unit) {
  const std::vector<double> values = ValuesOf(figures);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return absl::StrCat(Number(Median(values)), " (", Number(*least), "..", Number(*most), ") ",
                      unit);
}

std::string JsonNumbers(const std::vector<Figure>& figures) {
  return absl::StrCat("[",
                      absl::StrJoin(figures, ",",
                                    [](std::string* out, const Figure& figure) {
                                      absl::StrAppendFormat(out, "%.6g", figure.value);
                                    }),
                      "]");
}

}  // namespace

double RatioOf(const BenchCase& bench_case, const BenchResult& result) {
  std::vector<double> ratios = ValuesOf(result.figures);
  for (size_t i = 0; !bench_case.reference.empty() && i < ratios.size(); ++i) {
    ratios[i] /= result.references[i].value;
  }
  return Median(std::move(ratios));
}

bool IsMet(const BenchCase& bench_case, const BenchResult& result) {
  const double ratio = RatioOf(bench_case, result);
  return bench_case.at_least ? ratio >= bench_case.target : ratio <= bench_case.target;
}

std::string TableHeading() {
  return absl::StrFormat("%-18s %-32s %-32s %8s %8s\n", "case", "measured (range)",
                         "reference (range)", "ratio", "target");
}

std::string TableLine(const BenchCase& bench_case, const BenchResult& result) {
  std::string text = absl::StrFormat(
      "%s%s%s\n", bench_case.what, bench_case.reference.empty() ? "" : " | ", bench_case.reference);
  if (!result.skipped.empty()) {
    return absl::StrCat(text,
                        absl::StrFormat("  %-16s skipped: %s\n", bench_case.name, result.skipped));
  }
  const bool has_reference = !bench_case.reference.empty();
  std::string target = "";
  if (bench_case.target > 0) {
    target = absl::StrFormat("%s %s", bench_case.at_least ? ">=" : "<=", Number(bench_case.target));
  }
  absl::StrAppendFormat(
      &text, "  %-16s %-32s %-32s %8s %8s %s\n", bench_case.name,
      WithRange(result.figures, bench_case.unit),
      has_reference ? WithRange(result.references, bench_case.unit) : "",
      has_reference ? Number(RatioOf(bench_case, result)) : "", target,
      bench_case.target > 0 ? (IsMet(bench_case, result) ? "met" : "MISSED") : "");
  if (!result.figures.back().note.empty()) {
    absl::StrAppend(&text, "    ", result.figures.back().note, "\n");
  }
  if (has_reference && !result.references.back().note.empty()) {
    absl::StrAppend(&text, "    reference: ", result.references.back().note, "\n");
  }
  return text;
}

// No text here needs escaping: all of them are this program's own.
std::string JsonLine(const BenchCase& bench_case, const BenchResult& result) {
  std::string line = absl::StrFormat(R"({"case":"%s","what":"%s","unit":"%s")", bench_case.name,
                                     bench_case.what, bench_case.unit);
  if (!result.skipped.empty()) {
    return absl::StrCat(line, R"(,"skipped":")", result.skipped, "\"}");
  }
  absl::StrAppend(&line, ",\"values\":", JsonNumbers(result.figures));
  absl::StrAppend(&line, ",\"note\":\"", result.figures.back().note, "\"");
  if (!bench_case.reference.empty()) {
    absl::StrAppend(&line, ",\"reference\":\"", bench_case.reference,
                    "\",\"reference_values\":", JsonNumbers(result.references));
    absl::StrAppendFormat(&line, ",\"ratio\":%.4g", RatioOf(bench_case, result));
  }
  if (bench_case.target > 0) {
    absl::StrAppendFormat(&line, ",\"target\":%g,\"at_least\":%s,\"met\":%s", bench_case.target,
                          bench_case.at_least ? "true" : "false",
                          IsMet(bench_case, result) ? "true" : "false");
  }
  return absl::StrCat(line, "}");
}

}  // namespace hookgate
