// What three gateways with one log do, on each engine, beside a gateway that is alone.
//
//   bazel run -c opt --dynamic_mode=off //tests/bench:cluster_bench -- --what=rates
//
//   rates     webhooks a second and how long each waits for its 200, closed loop, at the leader; in
//             the same run what the engine appends by itself in groups of as many events
//   takeover  how long nobody is answered 200 after the leader was killed with SIGKILL
//   catch_up  how fast a replica with an empty folder applies the whole log
//
// Engines, gateways and load share this machine, its cores and its disk: only what is compared
// within one run means something. The gateways do not know each other as peers.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/replication/jetstream_log.h"
#include "server/replication/postgres_log.h"
#include "server/replication/replicated_log.h"
#include "tests/bench/contender.h"
#include "tests/bench/engine_appends.h"
#include "tests/bench/load_generator.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/nats_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/hookgated_process.h"

ABSL_FLAG(std::string, what, "rates", "rates, takeover or catch_up.");
ABSL_FLAG(std::vector<std::string>, engines,
          std::vector<std::string>({"embedded", "postgresql", "jetstream"}),
          "Of these. One that is not installed is left out. Rates alone know embedded: a gateway "
          "that is alone.");
ABSL_FLAG(std::vector<std::string>, connections, std::vector<std::string>({"1", "64", "256"}),
          "Of the load, for rates.");
ABSL_FLAG(double, seconds, 5, "How long each rate is measured, about.");
ABSL_FLAG(int, rounds, 2, "How often the rates are measured, in turns.");
ABSL_FLAG(int, kills, 50, "For takeover.");
ABSL_FLAG(int64_t, events, 1'000'000, "For catch_up.");
ABSL_FLAG(
    std::string, folder, "/var/tmp",
    "Where all of it is stored, and what is removed afterwards. On tmpfs a sync costs nothing, "
    "and the numbers say nothing.");

namespace hookgate {
namespace {

constexpr int kProbe = 500;     // webhooks that say how many fit into the time
constexpr int kBatch = 20'000;  // that are held in memory at once
constexpr int kFillers = 256;   // connections that fill a log
constexpr absl::Duration kBetweenLooks = absl::Milliseconds(5);
constexpr absl::Duration kPostPatience = absl::Milliseconds(500);
constexpr char kQuiet[] = "logging { level: \"warning\" }\n";

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "cluster_bench: " << what << "\n";
  std::exit(1);
}

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

// One engine, and the gateways on it; or one gateway that is alone.
class Contestant {
 public:
  // Null if the engine is not installed.
  static std::unique_ptr<Contestant> Start(const std::string& name) {
    auto contestant = std::make_unique<Contestant>();
    contestant->name_ = name;
    const std::string folder = absl::GetFlag(FLAGS_folder);
    const ReplicatedLogOptions log_options = {.cluster = "bench"};
    absl::StatusOr<std::unique_ptr<ReplicatedLog>> log;
    std::string engine;
    if (name == "embedded") {
      contestant->alone_ = HookgatedProcess::Start(FreshFolder(), {"--log_level=warning"});
      return contestant;
    }
    if (name == "postgresql") {
      contestant->postgres_ = PostgresCluster::Start({.folder = folder});
      if (contestant->postgres_ == nullptr) return nullptr;
      engine = absl::StrCat("postgresql { uri: \"", contestant->postgres_->Uri(), "\" }");
      log = OpenPostgresLog(log_options, {.uri = contestant->postgres_->Uri()});
    } else if (name == "jetstream") {
      contestant->nats_ = NatsCluster::Start({.folder = folder});
      if (contestant->nats_ == nullptr) return nullptr;
      engine = contestant->nats_->Config();
      log = OpenJetStreamLog(log_options, {.servers = contestant->nats_->Urls(),
                                           .monitoring_urls = contestant->nats_->MonitoringUrls()});
    } else {
      Die(absl::StrCat("--engines: there is no ", name));
    }
    if (!log.ok()) Die(absl::StrCat(name, ": ", log.status().ToString()));
    contestant->log_ = *std::move(log);
    contestant->gateways_ = std::make_unique<GatewayCluster>(engine, kQuiet);
    contestant->gateways_->StartAll();
    contestant->Leader();
    return contestant;
  }

  const std::string& name() const { return name_; }
  GatewayCluster& gateways() { return *gateways_; }
  int Leader() const {
    const int leader = gateways_->AwaitLeader();
    if (leader == -1) Die(absl::StrCat(name_, ": nobody leads"));
    return leader;
  }
  std::string http() const {
    return alone_ != nullptr ? alone_->http() : gateways_->http(Leader());
  }

  // What the engine appends by itself; none if there is no engine.
  std::optional<EngineAppends> MeasureEngine(int events) {
    if (log_ == nullptr) return std::nullopt;
    const absl::StatusOr<EngineAppends> appends =
        MeasureAppends(*log_, events, absl::Seconds(absl::GetFlag(FLAGS_seconds)), last_);
    if (!appends.ok()) Die(absl::StrCat(name_, ": ", appends.status().ToString()));
    return *appends;
  }

  // Of one that is alone.
  static std::string FreshFolder() {
    static int last = 0;
    return absl::StrCat(std::getenv("TEST_TMPDIR"), "/alone_", ++last);
  }

 private:
  std::string name_;
  std::unique_ptr<PostgresCluster> postgres_;
  std::unique_ptr<NatsCluster> nats_;
  std::unique_ptr<ReplicatedLog> log_;  // of a cluster that has no gateways
  LogIndex last_ = 0;
  std::unique_ptr<GatewayCluster> gateways_;
  std::unique_ptr<HookgatedProcess> alone_;
};

std::vector<std::unique_ptr<Contestant>> StartAll() {
  std::vector<std::unique_ptr<Contestant>> all;
  for (const std::string& name : absl::GetFlag(FLAGS_engines)) {
    if (name == "embedded" && absl::GetFlag(FLAGS_what) != "rates") continue;
    auto contestant = Contestant::Start(name);
    if (contestant != nullptr) all.push_back(std::move(contestant));
  }
  if (all.empty()) Die("no engine is installed");
  return all;
}

LoadResult Load(const std::string& address, int connections, int count) {
  const LoadResult load =
      RunLoad({.address = address, .connections = connections}, SignedRequests(count));
  ExpectNoneRefused(load.refused);
  return load;
}

void MeasureRate(Contestant& contestant, int connections) {
  const std::string address = contestant.http();
  const LoadResult probe = Load(address, connections, kProbe);
  const double count = kProbe * absl::GetFlag(FLAGS_seconds) / absl::ToDoubleSeconds(probe.elapsed);
  const LoadResult load =
      Load(address, connections, static_cast<int>(std::clamp(count, 1.0 * kProbe, 200'000.0)));
  const double rate =
      static_cast<double>(load.latencies.size()) / absl::ToDoubleSeconds(load.elapsed);
  std::cout << absl::StrFormat("%-11s %4d connections %8.0f webhooks/s  p50 %7.2f ms  p99 %7.2f ms",
                               contestant.name(), connections, rate,
                               Milliseconds(Percentile(load.latencies, 0.5)),
                               Milliseconds(Percentile(load.latencies, 0.99)));
  const std::optional<EngineAppends> engine = contestant.MeasureEngine(connections);
  if (engine.has_value()) {
    std::cout << absl::StrFormat(
        "  the engine by itself %8.0f events/s  p50 %6.2f ms  p99 %6.2f ms: %.2f of it",
        engine->events_per_second, Milliseconds(engine->p50), Milliseconds(engine->p99),
        rate / engine->events_per_second);
  }
  std::cout << std::endl;
}

void MeasureRates() {
  const auto contestants = StartAll();
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    for (const std::string& text : absl::GetFlag(FLAGS_connections)) {
      int connections = 0;
      if (!absl::SimpleAtoi(text, &connections) || connections < 1) {
        Die(absl::StrCat("--connections: ", text, " is not a number above 0"));
      }
      for (const auto& contestant : contestants) MeasureRate(*contestant, connections);
    }
  }
}

// From the kill to the first 200 of another one.
absl::Duration MeasureTakeover(GatewayCluster& gateways, int leader, int kill) {
  const absl::Time begin = absl::Now();
  gateways.Kill(leader);
  const std::string webhook_id = absl::StrCat("wh_takeover_", kill);
  for (int at = 0;; at = (at + 1) % GatewayCluster::kReplicas) {
    if (at == leader) continue;
    const auto reply = gateways.TryPost(at, webhook_id, kPostPatience);
    if (reply.has_value() && reply->status == 200) return absl::Now() - begin;
    if (absl::Now() - begin > absl::Minutes(1)) Die("nobody has taken over for a minute");
    absl::SleepFor(kBetweenLooks);
  }
}

void MeasureTakeovers() {
  for (const auto& contestant : StartAll()) {
    GatewayCluster& gateways = contestant->gateways();
    std::vector<absl::Duration> times;
    for (int kill = 1; kill <= absl::GetFlag(FLAGS_kills); ++kill) {
      if (!gateways.AwaitAllApplied()) Die("a replica does not catch up");
      const int leader = contestant->Leader();
      times.push_back(MeasureTakeover(gateways, leader, kill));
      gateways.Start(leader);
    }
    const auto at = [&times](double share) {
      return absl::ToDoubleSeconds(Percentile(times, share));
    };
    std::cout << absl::StrFormat(
                     "%-11s %d kills of the leader, seconds until the next 200: least %.2f  p10 "
                     "%.2f  p50 %.2f  p90 %.2f  p99 %.2f  most %.2f",
                     contestant->name(), times.size(), at(0), at(0.1), at(0.5), at(0.9), at(0.99),
                     at(1))
              << std::endl;
  }
}

void MeasureCatchUps() {
  for (const auto& contestant : StartAll()) {
    GatewayCluster& gateways = contestant->gateways();
    const int64_t events = absl::GetFlag(FLAGS_events);
    const int leader = contestant->Leader();
    const int empty = (leader + 1) % GatewayCluster::kReplicas;
    gateways.Kill(empty);
    gateways.Wipe(empty);
    const absl::Time begin = absl::Now();
    for (int64_t stored = 0; stored < events; stored += kBatch) {
      Load(contestant->http(), kFillers,
           static_cast<int>(std::min<int64_t>(kBatch, events - stored)));
    }
    const double filled = absl::ToDoubleSeconds(absl::Now() - begin);
    const auto index_of = [&gateways](int replica, const std::string& what) {
      return Scraped(gateways.process(replica).admin(), absl::StrCat("hookgate_cluster_", what))
          .value_or(-1);
    };
    const double last = index_of(leader, "applied_index");
    const absl::Time start = absl::Now();
    gateways.Start(empty);
    while (index_of(empty, "applied_index") < last) absl::SleepFor(kBetweenLooks);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    std::cout << absl::StrFormat(
                     "%-11s an empty replica applied %d events in %.0f records in %.1f s: %.0f/s "
                     "(they were stored at %.0f/s)",
                     contestant->name(), events, last, seconds, events / seconds, events / filled)
              << std::endl;
  }
}

int Run() {
  // Where the gateways store, and what they log.
  const BenchFolder folder(absl::GetFlag(FLAGS_folder));
  setenv("TEST_TMPDIR", folder.path().c_str(), 1);
  const std::string what = absl::GetFlag(FLAGS_what);
  if (what == "rates") {
    MeasureRates();
  } else if (what == "takeover") {
    MeasureTakeovers();
  } else if (what == "catch_up") {
    MeasureCatchUps();
  } else {
    std::cerr << "cluster_bench: --what: " << what << " is not rates, takeover or catch_up\n";
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace hookgate

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("What three gateways with one log do, on each engine.");
  absl::ParseCommandLine(argc, argv);
  return hookgate::Run();
}
