// What the engines of a cluster append by themselves, without a gateway: records of a group of
// events, one in flight, as a leader writes them.
//
//   bazel run -c opt //tests/bench:engine_bench
//
// PostgreSQL has a synchronous standby, JetStream three servers that sync always; all of them are
// on this machine and share its disk, so that only what is compared within one run means something.

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
#include "absl/time/time.h"
#include "server/replication/jetstream_log.h"
#include "server/replication/postgres_log.h"
#include "server/replication/replicated_log.h"
#include "tests/bench/engine_appends.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"

ABSL_FLAG(double, seconds, 5, "How long each size is measured, each round.");
ABSL_FLAG(int, rounds, 2, "How often, in turns.");
ABSL_FLAG(std::string, folder, "/var/tmp",
          "Where the engines store, and what is removed afterwards. On tmpfs a sync costs nothing, "
          "and the numbers say nothing.");

namespace hookgate {
namespace {

constexpr int kGroups[] = {1, 64, 256};

struct Engine {
  std::string name;
  std::unique_ptr<ReplicatedLog> log;
  LogIndex last = 0;
};

// Appends for `time`, and prints a line. False if the engine does not take them.
bool Measure(Engine& engine, int events, absl::Duration time) {
  const absl::StatusOr<EngineAppends> appends =
      MeasureAppends(*engine.log, events, time, engine.last);
  if (!appends.ok()) {
    std::cerr << engine.name << ": " << appends.status() << "\n";
    return false;
  }
  std::cout << absl::StrFormat(
      "%-12s %6d events a group %9.0f groups/s %9.0f events/s  p50 %7.2f ms  p99 %7.2f ms\n",
      engine.name, events, appends->groups_per_second, appends->events_per_second,
      absl::ToDoubleMilliseconds(appends->p50), absl::ToDoubleMilliseconds(appends->p99));
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
