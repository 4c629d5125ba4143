// What the benchmark prints.
#ifndef HOOKGATE_TESTS_BENCH_REPORT_H_
#define HOOKGATE_TESTS_BENCH_REPORT_H_

#include <string>
#include <vector>

#include "tests/bench/bench_case.h"

namespace hookgate {

// A case with the figures of all its runs: those with the same index were taken one after the
// other.
struct BenchResult {
  std::vector<Figure> figures;
  std::vector<Figure> references;  // empty if the case has no reference
  std::string skipped;             // why; "" if it was measured
};

// What the target is about: the median of the runs' ratios, or of the figures if there is no
// reference. Each run's ratio is of figures that were taken in the same minute.
double RatioOf(const BenchCase& bench_case, const BenchResult& result);
bool IsMet(const BenchCase& bench_case, const BenchResult& result);

// For people: medians, and the range of the runs.
std::string TableHeading();
std::string TableLine(const BenchCase& bench_case, const BenchResult& result);
// One JSON object, without a line end.
std::string JsonLine(const BenchCase& bench_case, const BenchResult& result);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_REPORT_H_
