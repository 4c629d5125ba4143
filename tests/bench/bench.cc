// How fast the gateway is, beside what its parts and its alternatives reach on the same two cores:
// `bazel/bench` builds and runs this. README.md says what the cases mean.
//
// Only ratios within one run mean something elsewhere: machines differ, and are busy with other
// things.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "tests/bench/bare_grpc_server.h"
#include "tests/bench/bare_http_server.h"
#include "tests/bench/bench_case.h"
#include "tests/bench/contender.h"
#include "tests/bench/report.h"

ABSL_FLAG(bool, quick, false,
          "Fewer webhooks, and of the cases those that have a target: about a minute, and more "
          "noise.");
ABSL_FLAG(std::vector<std::string>, cases, {},
          "Only these, by name or by the beginning of it: ingest,replay_10. Default: all.");
ABSL_FLAG(bool, list, false, "Only lists the cases.");
ABSL_FLAG(int, repeats, 3, "How often each case is measured, in turn with its reference.");
ABSL_FLAG(std::string, output, "", "Also writes one JSON object a case to this file.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where logs are made, and removed afterwards. On tmpfs a sync costs nothing, and the "
          "numbers say nothing.");
ABSL_FLAG(int, server_core, 0, "Where what is measured runs.");
ABSL_FLAG(int, load_core, 1, "Where the load is made.");
ABSL_FLAG(double, scale, 1, "Multiplies the numbers of webhooks.");
ABSL_FLAG(std::string, node_server, "", "Path of node_receiver.mjs.");
ABSL_FLAG(std::string, node_modules, "", "Where fastify and openai are installed.");
ABSL_FLAG(std::string, go_receiver, "", "Path of the program built of go_receiver/main.go.");
ABSL_FLAG(std::string, serve, "",
          "Internal: serves as one of the bare servers, http, http_durable:FOLDER, "
          "grpc:EVENTS:PER_FRAME, grpc_paced:PER_SECOND or grpc_unary, and prints its address.");

namespace hookgate {
namespace {

[[noreturn]] void ServeForEver(const std::string& address) {
  std::cout << address << std::endl;
  while (true) pause();
}

int Serve(const std::string& what) {
  const std::vector<std::string> words = absl::StrSplit(what, ':');
  int64_t events = 0;
  int64_t per_frame = 0;
  double per_second = 0;
  if (what == "http") {
    const BareHttpServer server;
    ServeForEver(server.address());
  }
  if (words.size() == 2 && words[0] == "http_durable") {
    const BareHttpServer server(words[1]);
    ServeForEver(server.address());
  }
  if (words.size() == 3 && words[0] == "grpc" && absl::SimpleAtoi(words[1], &events) &&
      absl::SimpleAtoi(words[2], &per_frame) && per_frame > 0) {
    const BareGrpcServer server(events, per_frame);
    ServeForEver(server.address());
  }
  if (words.size() == 2 && words[0] == "grpc_paced" && absl::SimpleAtod(words[1], &per_second) &&
      per_second > 0) {
    const BareGrpcServer server(per_second);
    ServeForEver(server.address());
  }
  if (what == "grpc_unary") {
    const BareGrpcServer server;
    ServeForEver(server.address());
  }
  std::cerr << "bench: --serve=" << what << " is no bare server\n";
  return 2;
}

std::vector<BenchCase> AllCases(const BenchSettings& settings) {
  std::vector<BenchCase> all;
  for (const auto cases : {&IngestCases, &AlternativeCases, &ReplayCases, &LiveCases, &LatencyCases,
                           &RetentionCases, &UnaryCases, &StreamCases, &ConsumeCases}) {
    for (BenchCase& bench_case : cases(settings)) all.push_back(std::move(bench_case));
  }
  return all;
}

bool IsWanted(const BenchCase& bench_case) {
  const std::vector<std::string> wanted = absl::GetFlag(FLAGS_cases);
  if (wanted.empty()) return bench_case.target > 0 || !absl::GetFlag(FLAGS_quick);
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) {
    return absl::StartsWith(bench_case.name, name);
  });
}

BenchResult Measure(const BenchCase& bench_case) {
  BenchResult result;
  if (bench_case.why_skipped != nullptr) result.skipped = bench_case.why_skipped();
  for (int run = 1; result.skipped.empty() && run <= absl::GetFlag(FLAGS_repeats); ++run) {
    std::cerr << absl::StrFormat("bench: %s, run %d of %d\n", bench_case.name, run,
                                 absl::GetFlag(FLAGS_repeats));
    result.figures.push_back(bench_case.measure());
    if (!bench_case.reference.empty()) {
      result.references.push_back(bench_case.measure_reference());
    }
  }
  return result;
}

int List(const std::vector<BenchCase>& cases) {
  for (const BenchCase& bench_case : cases) {
    absl::PrintF("%-18s %s%s%s\n", bench_case.name, bench_case.what,
                 bench_case.reference.empty() ? "" : " | ", bench_case.reference);
  }
  return 0;
}

int Main() {
  if (!absl::GetFlag(FLAGS_serve).empty()) return Serve(absl::GetFlag(FLAGS_serve));
  const BenchSettings settings = {.folder = absl::GetFlag(FLAGS_folder),
                                  .node_server = absl::GetFlag(FLAGS_node_server),
                                  .node_modules = absl::GetFlag(FLAGS_node_modules),
                                  .go_receiver = absl::GetFlag(FLAGS_go_receiver),
                                  .server_core = absl::GetFlag(FLAGS_server_core),
                                  .load_core = absl::GetFlag(FLAGS_load_core),
                                  .quick = absl::GetFlag(FLAGS_quick),
                                  .scale = absl::GetFlag(FLAGS_scale)};
  const std::vector<BenchCase> cases = AllCases(settings);
  if (absl::GetFlag(FLAGS_list)) return List(cases);
  if (std::none_of(cases.begin(), cases.end(), IsWanted)) {
    std::cerr << "bench: --cases: there is none of that name; --list shows them\n";
    return 2;
  }
  if (absl::GetFlag(FLAGS_repeats) < 1) {
    std::cerr << "bench: --repeats: must be at least 1\n";
    return 2;
  }
  std::ofstream json;
  const std::string output = absl::GetFlag(FLAGS_output);
  if (!output.empty()) json.open(output);
  if (!output.empty() && !json) {
    std::cerr << "bench: --output: " << output << " cannot be written\n";
    return 2;
  }
  PinToCore(settings.load_core);
  std::cout << TableHeading() << std::flush;
  for (const BenchCase& bench_case : cases) {
    if (!IsWanted(bench_case)) continue;
    const BenchResult result = Measure(bench_case);
    std::cout << TableLine(bench_case, result) << std::flush;
    if (json.is_open()) json << JsonLine(bench_case, result) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  // As in hookgated, for the load and for the bare servers.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  absl::SetProgramUsageMessage(
      "Measures a real gateway beside what its parts and its alternatives reach on this machine.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Main();
}
