// What the engines of a cluster append by themselves, without a gateway: records of a group of
// events, one in flight, as a leader writes them.
//
//   bazel run -c opt //tests/bench:engine_bench
//
// PostgreSQL has a synchronous standby, JetStream three servers that sync always; all of them are
// on this machine and share its disk, so that only what is compared within one run means something.

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/replication/jetstream_log.h"
#include "server/replication/postgres_log.h"
#include "server/replication/replicated_log.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"

ABSL_FLAG(double, seconds, 5, "How long each size is measured, each round.");
ABSL_FLAG(int, rounds, 2, "How often, in turns.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where the engines store, and what is removed afterwards. On tmpfs a sync costs nothing, "
          "and the numbers say nothing.");

namespace hookgate {
namespace {

constexpr int kEventBytes = 600;  // about what one webhook adds to the log
constexpr int kGroups[] = {1, 64, 256};

struct Engine {
  std::string name;
  std::unique_ptr<ReplicatedLog> log;
  LogIndex last = 0;
};

absl::Duration At(const std::vector<absl::Duration>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(share * sorted.size()))];
}

// Appends for `time`, and prints a line. False if the engine does not take them.
bool Measure(Engine& engine, int events, absl::Duration time) {
  std::string bytes(static_cast<size_t>(events) * kEventBytes, 'x');
  std::vector<absl::Duration> latencies;
  const absl::Time begin = absl::Now();
  absl::Time now = begin;
  while (now - begin < time) {
    // No two are the same.
    const std::string mark = std::to_string(engine.last);
    bytes.replace(0, mark.size(), mark);
    const CompareAppendResult result =
        engine.log->CompareAppend(engine.last, bytes, absl::Seconds(10));
    if (result.outcome != CompareAppendOutcome::kAppended) {
      std::cerr << engine.name << ": " << result.status << "\n";
      return false;
    }
    ++engine.last;
    const absl::Time done = absl::Now();
    latencies.push_back(done - now);
    now = done;
  }
  std::sort(latencies.begin(), latencies.end());
  const double rate = latencies.size() / absl::ToDoubleSeconds(now - begin);
  std::cout << absl::StrFormat(
      "%-12s %6d events a group %9.0f groups/s %9.0f events/s  p50 %7.2f ms  p99 %7.2f ms\n",
      engine.name, events, rate, rate * events, absl::ToDoubleMilliseconds(At(latencies, 0.5)),
      absl::ToDoubleMilliseconds(At(latencies, 0.99)));
  std::cout.flush();
  return true;
}

// False if it was not opened.
bool Add(const std::string& name, absl::StatusOr<std::unique_ptr<ReplicatedLog>> log,
         std::vector<Engine>& engines) {
  if (!log.ok()) {
    std::cerr << name << ": " << log.status() << "\n";
    return false;
  }
  engines.push_back({name, std::move(*log)});
  return true;
}

int Run() {
  const ReplicatedLogOptions options = {.cluster = "bench"};
  std::vector<Engine> engines;
  const auto postgres = PostgresCluster::Start({.folder = absl::GetFlag(FLAGS_folder)});
  if (postgres != nullptr &&
      !Add("postgresql", OpenPostgresLog(options, {.uri = postgres->Uri()}), engines)) {
    return 1;
  }
  const auto nats = NatsCluster::Start({.folder = absl::GetFlag(FLAGS_folder)});
  if (nats != nullptr &&
      !Add("jetstream",
           OpenJetStreamLog(options,
                            {.servers = nats->Urls(), .monitoring_urls = nats->MonitoringUrls()}),
           engines)) {
    return 1;
  }
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    for (const int events : kGroups) {
      for (Engine& engine : engines) {
        if (!Measure(engine, events, absl::Seconds(absl::GetFlag(FLAGS_seconds)))) return 1;
      }
    }
  }
  engines.clear();
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("What the engines of a cluster append by themselves.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Run();
}
