// What the benchmark measures: each case is a figure of the gateway beside the figure of something
// that it is compared with, taken in turn in the same run.
#ifndef HOOKGATE_TESTS_BENCH_BENCH_CASE_H_
#define HOOKGATE_TESTS_BENCH_BENCH_CASE_H_

#include <functional>
#include <string>
#include <vector>

namespace hookgate {

struct Figure {
  double value = 0;
  std::string note;  // what else was seen, for people
};

struct BenchCase {
  std::string name;       // for --case
  std::string what;       // for the table
  std::string unit;       // "/s", "ms", "KiB"
  std::string reference;  // what it is compared with; "" if the figure itself has the target
  // The ratio of the two figures, or the figure, that is to be reached.
  double target = 0;
  bool at_least = true;  // false: at most
  std::function<Figure()> measure;
  std::function<Figure()> measure_reference;  // null if `reference` is ""
  // Why it cannot be measured on this machine; "" if it can. Null: it always can.
  std::function<std::string()> why_skipped;
};

// Where and how long to measure.
struct BenchSettings {
  std::string folder;        // for logs; on a disk, since on tmpfs a sync costs nothing
  std::string node_server;   // node_receiver.mjs
  std::string node_modules;  // where fastify and openai are installed
  std::string go_receiver;   // go_receiver/main.go, built
  int server_core = 0;
  int load_core = 1;
  bool quick = false;
  double scale = 1;  // of the numbers of webhooks; small for a test of the benchmark itself

  // `full` webhooks, or `short_form` with --quick.
  int Count(int full, int short_form) const {
    const double count = (quick ? short_form : full) * scale;
    return count < 1 ? 1 : static_cast<int>(count);
  }
};

// By what they are about. `settings` outlive the cases.
std::vector<BenchCase> IngestCases(const BenchSettings& settings);
std::vector<BenchCase> AlternativeCases(const BenchSettings& settings);
std::vector<BenchCase> ReplayCases(const BenchSettings& settings);
std::vector<BenchCase> LiveCases(const BenchSettings& settings);
std::vector<BenchCase> LatencyCases(const BenchSettings& settings);
std::vector<BenchCase> RetentionCases(const BenchSettings& settings);
std::vector<BenchCase> UnaryCases(const BenchSettings& settings);
std::vector<BenchCase> StreamCases(const BenchSettings& settings);
std::vector<BenchCase> ConsumeCases(const BenchSettings& settings);

}  // namespace hookgate

#endif  // HOOKGATE_TESTS_BENCH_BENCH_CASE_H_
