#include "tests/cluster/fault_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace hookgate {
namespace {

// Clocks of the replicas differ by 10 minutes from the start, and a round may set one wrong by as
// much again.
constexpr char kMoreConfig[] =
    "sources {\n  name: \"openai\"\n  secrets { name: \"s\" environment: "
    "\"OPENAI_WEBHOOK_SECRET\" }\n  timestamp_tolerance { seconds: 3600 }\n}\n";

// A line of the log that clients cause, of which there are thousands.
bool IsOfClients(absl::string_view line) {
  return absl::StrContains(line, "\"stream ") || absl::StrContains(line, "\"consumer ") ||
         absl::StrContains(line, "\"webhook refused\"");
}

std::string FiguresOf(const ClusterLoad::Counts& counts, size_t lost, size_t broken) {
  return absl::StrFormat(
      "answered %5d (repeats %4d)  503 %4d  no answer %3d  deliveries %5d  streams %4d  lost %d  "
      "broken %d  longest without an answer %5.2f s",
      counts.answered, counts.repeats, counts.unavailable, counts.no_answer, counts.deliveries,
      counts.streams, lost, broken, absl::ToDoubleSeconds(counts.longest_gap));
}

}  // namespace

std::unique_ptr<FaultWorld> FaultWorld::Start(EngineKind kind, uint64_t seed, bool small_disks) {
  auto world = absl::WrapUnique(new FaultWorld(seed));
  std::vector<int> ports;
  if (kind == EngineKind::kPostgres) {
    world->postgres_ = PostgresCluster::Start({.small_disks = small_disks});
    if (world->postgres_ == nullptr) return nullptr;
    for (int i = 0; i < world->postgres_->servers(); ++i) {
      ports.push_back(world->postgres_->port(i));
    }
  } else {
    world->nats_ = NatsCluster::Start({.small_disks = small_disks});
    if (world->nats_ == nullptr) return nullptr;
    for (int i = 0; i < world->nats_->servers(); ++i) ports.push_back(world->nats_->port(i));
  }
  for (auto& links : world->engine_links_) {
    for (const int port : ports) links.push_back(std::make_unique<TcpLink>(port));
  }
  const auto engine_of = [&world, kind](int replica) {
    std::vector<std::string> servers;
    for (const auto& link : world->engine_links_[replica]) {
      servers.push_back(absl::StrCat("127.0.0.1:", link->port()));
    }
    if (kind == EngineKind::kPostgres) {
      return absl::StrCat("postgresql { uri: \"postgresql://postgres@", absl::StrJoin(servers, ","),
                          "/postgres\" }");
    }
    std::string text = "jetstream {";
    for (const std::string& server : servers) {
      absl::StrAppend(&text, " servers: \"nats://", server, "\"");
    }
    for (const std::string& url : world->nats_->MonitoringUrls()) {
      absl::StrAppend(&text, " monitoring_urls: \"", url, "\"");
    }
    return text + " }";
  };
  world->gateways_ = std::make_unique<GatewayCluster>(GatewayCluster::Options{
      .engine = engine_of, .more = kMoreConfig, .peers = true, .faulty_machines = true});
  for (int i = 0; i < kReplicas; ++i) world->gateways_->machine(i).SetWallOffset(ClockOf(i));
  world->gateways_->StartAll();
  EXPECT_NE(world->AwaitLeader(), -1);
  world->load_ = std::make_unique<ClusterLoad>(*world->gateways_, seed);
  return world;
}

int FaultWorld::engine_servers() const { return static_cast<int>(engine_links_[0].size()); }

void FaultWorld::ForEachEngineLink(int replica, const std::function<void(TcpLink&)>& act) {
  for (const auto& link : engine_links_[replica]) act(*link);
}

void FaultWorld::ForEachPeerLink(int replica, const std::function<void(TcpLink&)>& act) {
  for (int other = 0; other < kReplicas; ++other) {
    if (other == replica) continue;
    act(gateways_->link(replica, other));
    act(gateways_->link(other, replica));
  }
}

void FaultWorld::ForEachLinkTo(int server, const std::function<void(TcpLink&)>& act) {
  for (const auto& links : engine_links_) act(*links[server]);
}

SmallDisk* FaultWorld::engine_disk(int server) {
  return postgres_ != nullptr ? postgres_->disk(server) : nats_->disk(server);
}

void FaultWorld::FreezeEngineServer(int server) {
  postgres_ != nullptr ? postgres_->Freeze(server) : nats_->Freeze(server);
}

void FaultWorld::ThawEngineServer(int server) {
  postgres_ != nullptr ? postgres_->Thaw(server) : nats_->Thaw(server);
}

void FaultWorld::KillEngineServer(int server) {
  postgres_ != nullptr ? postgres_->Kill(server) : nats_->Kill(server);
}

void FaultWorld::StartEngineServer(int server) {
  EXPECT_TRUE(postgres_ != nullptr ? postgres_->StartAgain(server) : nats_->StartAgain(server));
}

int FaultWorld::AwaitLeader(int other_than) {
  const int leader = gateways_->AwaitLeader(other_than);
  EXPECT_NE(leader, -1) << "nobody leads";
  return leader;
}

int FaultWorld::AnyFollower() { return (AwaitLeader() + 1 + Any(kReplicas - 1)) % kReplicas; }

bool FaultWorld::Round(const std::string& name, const std::function<void()>& act) {
  const absl::Time begin = absl::Now();
  load_->StartSenders();
  EXPECT_TRUE(load_->AwaitAnswers(20)) << name << ": before the fault";
  act();
  EXPECT_TRUE(load_->AwaitAnswers(20)) << name << ": after it";
  for (int i = 0; i < kReplicas; ++i) {
    if (!gateways_->runs(i)) gateways_->Start(i);
  }
  // Whoever is still in doubt about a webhook sends it until it is answered.
  load_->StopSenders();
  EXPECT_TRUE(gateways_->AwaitAllWell()) << name << ": not all are well again";
  EXPECT_TRUE(gateways_->AwaitAllApplied()) << name << ": not all have applied all";
  std::vector<std::string> lost = load_->Settle();
  for (int i = 0; i < kReplicas; ++i) {
    for (const std::string& webhook : load_->ReadAllAt(i)) {
      lost.push_back(absl::StrCat(webhook, " at ", i));
    }
  }
  const std::vector<std::string> broken = load_->Broken();
  const ClusterLoad::Counts counts = load_->TakeCounts();
  std::cout << absl::StrFormat("%-26s %5.1f s  %s", name,
                               absl::ToDoubleSeconds(absl::Now() - begin),
                               FiguresOf(counts, lost.size(), broken.size()))
            << std::endl;
  EXPECT_TRUE(lost.empty()) << name << ": lost:\n  " << absl::StrJoin(lost, "\n  ");
  EXPECT_TRUE(broken.empty()) << name << ": broken:\n  " << absl::StrJoin(broken, "\n  ");
  ++rounds_;
  sum_.answered += counts.answered;
  sum_.repeats += counts.repeats;
  sum_.unavailable += counts.unavailable;
  sum_.no_answer += counts.no_answer;
  sum_.deliveries += counts.deliveries;
  sum_.streams += counts.streams;
  sum_.longest_gap = std::max(sum_.longest_gap, counts.longest_gap);
  lost_ += lost.size();
  broken_ += broken.size();
  if (testing::Test::HasFailure()) {
    for (int i = 0; i < kReplicas; ++i) {
      if (gateways_->runs(i)) {
        std::cout << "--- the log of replica " << i << ":\n";
        for (const absl::string_view line : absl::StrSplit(gateways_->process(i).log(), '\n')) {
          if (!IsOfClients(line)) std::cout << line << "\n";
        }
      }
    }
    return false;
  }
  return true;
}

std::string FaultWorld::Totals() const {
  return absl::StrCat(rounds_, " rounds, ", load_->webhooks(),
                      " webhooks: ", FiguresOf(sum_, lost_, broken_));
}

}  // namespace hookgate
