// P1 to P4 and P7 of three real hookgated on one log, whatever breaks: a gateway, its disk, its
// clock, the engine, or a connection between any of them, in one direction or both. One cluster
// lives through all rounds; after each, what every sender, subscriber and consumer was told is
// compared with what every replica holds.
//
//   CLUSTER_ENGINE   postgresql or jetstream; it is skipped if that is not installed
//   CLUSTER_ROUNDS   names of rounds, joined by commas, or "all"; the short set by default
//   CLUSTER_RANDOM   how many rounds of two faults at random follow; default 2
//   CLUSTER_SECONDS  no new round begins later than this; default 150
//   CLUSTER_SEED     repeats a run's decisions; the seed of each run is printed

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/fault_world.h"

namespace hookgate {
namespace {

using Way = TcpLink::Way;
using ::testing::IsEmpty;

constexpr char kShortSet[] =
    "kill_leader,pause_leader,cut_leader_from_engine,lost_answers_of_engine,wipe_follower,"
    "kill_engine_server_0,cancelled_waits_for_standby,rolling_restart";
// How long a fault lasts that may or may not keep the leader from answering: longer than others
// wait for a sign of it.
constexpr absl::Duration kAWhile = absl::Seconds(4);

uint64_t NumberFrom(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* const text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

std::string TextFrom(const char* name, const std::string& otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr && *text != '\0' ? text : otherwise;
}

// What is done to one replica, and how it is mended.
struct Fault {
  std::string name;
  std::function<void(FaultWorld&, int replica)> begin;
  std::function<void(FaultWorld&, int replica)> end;
};

void StartAgain(FaultWorld& world, int replica) { world.gateways().Start(replica); }

std::vector<Fault> FaultsOfReplicas() {
  return {
      {"kill", [](FaultWorld& w, int replica) { w.gateways().Kill(replica); }, StartAgain},
      {"stop", [](FaultWorld& w, int replica) { EXPECT_EQ(w.gateways().Stop(replica), 0); },
       StartAgain},
      {"pause", [](FaultWorld& w, int replica) { w.gateways().Pause(replica); },
       [](FaultWorld& w, int replica) { w.gateways().Resume(replica); }},
      {"wipe",
       [](FaultWorld& w, int replica) {
         w.gateways().Kill(replica);
         w.gateways().Wipe(replica);
       },
       StartAgain},
      {"cut_from_engine",
       [](FaultWorld& w, int replica) {
         w.ForEachEngineLink(replica, [](TcpLink& link) { link.Cut(); });
       },
       [](FaultWorld& w, int replica) {
         w.ForEachEngineLink(replica, [](TcpLink& link) { link.Heal(); });
       }},
      {"lose_answers_of_engine",
       [](FaultWorld& w, int replica) {
         w.ForEachEngineLink(replica, [](TcpLink& link) { link.Set(Way::kOpen, Way::kLost); });
       },
       [](FaultWorld& w, int replica) {
         w.ForEachEngineLink(replica, [](TcpLink& link) { link.Heal(); });
       }},
      {"cut_from_peers",
       [](FaultWorld& w, int replica) {
         w.ForEachPeerLink(replica, [](TcpLink& link) { link.Cut(); });
       },
       [](FaultWorld& w, int replica) {
         w.ForEachPeerLink(replica, [](TcpLink& link) { link.Heal(); });
       }},
      // It is heard, and hears nothing.
      {"deaf_to_peers",
       [](FaultWorld& w, int replica) {
         for (int other = 0; other < FaultWorld::kReplicas; ++other) {
           if (other == replica) continue;
           w.gateways().link(replica, other).Set(Way::kOpen, Way::kHeld);
           w.gateways().link(other, replica).Set(Way::kHeld, Way::kOpen);
         }
       },
       [](FaultWorld& w, int replica) {
         w.ForEachPeerLink(replica, [](TcpLink& link) { link.Heal(); });
       }},
      {"full_disk",
       [](FaultWorld& w, int replica) { w.gateways().machine(replica).FailWrites(ENOSPC); },
       [](FaultWorld& w, int replica) { w.gateways().machine(replica).FailWrites(0); }},
      {"wrong_clock",
       [](FaultWorld& w, int replica) {
         w.gateways().machine(replica).SetWallOffset(absl::Minutes(w.Any(2) == 0 ? 20 : -20));
       },
       [](FaultWorld& w, int replica) {
         w.gateways().machine(replica).SetWallOffset(FaultWorld::ClockOf(replica));
       }},
  };
}

const Fault& FaultNamed(const std::string& name) {
  static const std::vector<Fault>* const faults = new std::vector<Fault>(FaultsOfReplicas());
  for (const Fault& fault : *faults) {
    if (fault.name == name) return fault;
  }
  ADD_FAILURE() << "there is no fault " << name;
  return faults->front();
}

struct Round {
  std::string name;
  std::function<void(FaultWorld&)> act;
  // It needs a world of its own, in which the engine's disks are small.
  bool small_disks = false;
};

// The leader suffers it until another one leads and answers.
std::function<void(FaultWorld&)> LeaderSuffers(const std::string& fault) {
  return [fault](FaultWorld& world) {
    const int leader = world.AwaitLeader();
    FaultNamed(fault).begin(world, leader);
    EXPECT_NE(world.AwaitLeader(leader), -1);
    EXPECT_TRUE(world.load().AwaitAnswers(30));
    FaultNamed(fault).end(world, leader);
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

// The leader suffers it for a while, and may answer meanwhile or not.
std::function<void(FaultWorld&)> LeaderSuffersAWhile(const std::string& fault) {
  return [fault](FaultWorld& world) {
    const int leader = world.AwaitLeader();
    FaultNamed(fault).begin(world, leader);
    absl::SleepFor(kAWhile);
    FaultNamed(fault).end(world, leader);
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

// A follower suffers it, and nobody else notices.
std::function<void(FaultWorld&)> FollowerSuffers(const std::string& fault) {
  return [fault](FaultWorld& world) {
    const int follower = world.AnyFollower();
    FaultNamed(fault).begin(world, follower);
    EXPECT_TRUE(world.load().AwaitAnswers(60));
    FaultNamed(fault).end(world, follower);
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

void RestartInTurn(FaultWorld& world) {
  for (int i = 0; i < FaultWorld::kReplicas; ++i) {
    EXPECT_EQ(world.gateways().Stop(i), 0);
    EXPECT_TRUE(world.load().AwaitAnswers(10));
    world.gateways().Start(i);
    EXPECT_TRUE(world.gateways().AwaitAllWell());
  }
}

// Where a server of JetStream's writes the messages of the cluster's stream; "" if nowhere.
std::string NewestBlockBelow(const std::string& folder) {
  std::string found;
  std::filesystem::file_time_type newest;
  std::error_code error;
  // The server makes and removes files meanwhile.
  for (std::filesystem::recursive_directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    if (entry->path().extension() != ".blk" || !absl::StrContains(path, "/streams/HOOKGATE_")) {
      continue;
    }
    const auto time = std::filesystem::last_write_time(path, error);
    if (!found.empty() && time <= newest) continue;
    found = path;
    newest = time;
  }
  return found;
}

// A bit of a record is flipped on its way to a follower, which may apply it no more than skip it:
// it reads it again.
void FlipABit(FaultWorld& world) {
  const int follower = world.AnyFollower();
  int64_t before = 0;
  world.ForEachEngineLink(follower, [&before](TcpLink& link) {
    before += link.flipped_bits();
    link.FlipABitToCaller(400);
  });
  EXPECT_TRUE(BecomesTrue([&] {
    int64_t now = 0;
    world.ForEachEngineLink(follower, [&now](TcpLink& link) { now += link.flipped_bits(); });
    return now > before;
  }));
  EXPECT_TRUE(world.load().AwaitAnswers(60));
  world.ForEachEngineLink(follower, [](TcpLink& link) { link.FlipABitToCaller(0); });
  EXPECT_TRUE(BecomesTrue([&] { return world.gateways().IsWell(follower); }));
  EXPECT_EQ(world.gateways().Stop(follower), 0);
  world.gateways().Start(follower);
  EXPECT_TRUE(world.load().AwaitAnswers(30));
}

// Of PostgreSQL, 0 is the primary, and 1 the only standby, without which nothing is stored.
std::function<void(FaultWorld&)> KillEngineServer(int server) {
  return [server](FaultWorld& world) {
    world.KillEngineServer(server);
    if (world.postgres() == nullptr) {
      EXPECT_TRUE(world.load().AwaitAnswers(30));
    } else {
      EXPECT_TRUE(BecomesTrue([&] { return world.load().StaysSilent(absl::Seconds(1)); }));
    }
    world.StartEngineServer(server);
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

// All that one server and the gateways say to each other takes 2 * kSlow more, there and back.
constexpr absl::Duration kSlow = absl::Milliseconds(100);

std::function<void(FaultWorld&)> SlowEngineServer(int server) {
  return [server](FaultWorld& world) {
    world.ForEachLinkTo(server, [](TcpLink& link) { link.Delay(kSlow); });
    EXPECT_TRUE(world.load().AwaitAnswers(20));
    absl::SleepFor(kAWhile);
    world.ForEachLinkTo(server, [](TcpLink& link) { link.Delay(absl::ZeroDuration()); });
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

// It stands still for half of the time, in pieces.
std::function<void(FaultWorld&)> StutteringEngineServer(int server) {
  return [server](FaultWorld& world) {
    constexpr absl::Duration kPiece = absl::Milliseconds(200);
    for (absl::Duration time; time < kAWhile; time += 2 * kPiece) {
      world.FreezeEngineServer(server);
      absl::SleepFor(kPiece);
      world.ThawEngineServer(server);
      absl::SleepFor(kPiece);
    }
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

// No write of the server that needs more room succeeds, until there is some; whoever gave up is
// started again.
std::function<void(FaultWorld&)> FullDiskOfEngineServer(int server) {
  return [server](FaultWorld& world) {
    SmallDisk* const disk = world.engine_disk(server);
    if (disk == nullptr) {
      std::cout << "  skipped: no file system of its own can be mounted for the server (root can)"
                << std::endl;
      return;
    }
    EXPECT_TRUE(disk->Fill());
    if (world.postgres() != nullptr) {
      // Neither of the two can do without the other.
      EXPECT_TRUE(BecomesTrue([&] { return world.load().StaysSilent(absl::Seconds(1)); }));
    } else {
      absl::SleepFor(kAWhile);
      EXPECT_TRUE(world.load().AwaitAnswers(30));
    }
    EXPECT_TRUE(disk->MakeRoom());
    if (world.postgres() != nullptr) {
      const bool runs = world.postgres()->Runs(server);
      std::cout << "  the server " << (runs ? "still runs" : "has ended") << std::endl;
      if (!runs) world.StartEngineServer(server);
    } else {
      // JetStream, once it has been switched off, is so until a start.
      world.KillEngineServer(server);
      world.StartEngineServer(server);
    }
    EXPECT_TRUE(world.load().AwaitAnswers(30));
  };
}

bool HasLogged(FaultWorld& world, int replica, absl::string_view text) {
  return absl::StrContains(world.gateways().process(replica).log(), text);
}

// A bit of a record is flipped in the primary's file while it is down. The page's checksum says so
// to whoever reads it: a replica that was away comes to a stop there, and goes on once the file is
// as it was. (Whether records can be added meanwhile depends on where PostgreSQL finds room for
// them.)
void FlipABitOnDiskOfPostgres(FaultWorld& world) {
  PostgresCluster& postgres = *world.postgres();
  constexpr int64_t kPageBytes = 8192;
  constexpr char kLog[] = "hookgate_log_hooks";
  const int follower = world.AnyFollower();
  EXPECT_EQ(world.gateways().Stop(follower), 0);
  EXPECT_TRUE(world.load().AwaitAnswers(5));
  const auto number = [&postgres](const std::string& sql) {
    int64_t value = -1;
    EXPECT_TRUE(absl::SimpleAtoi(postgres.Execute(0, sql), &value)) << sql;
    return value;
  };
  // What it lacks is from here on; the page is done with once there are some more.
  const int64_t page = number(absl::StrCat("select (ctid::text::point)[0]::bigint from ", kLog,
                                           " where seq = (select max(seq) from ", kLog, ")"));
  EXPECT_TRUE(BecomesTrue([&] {
    return number(absl::StrCat("select pg_relation_size('", kLog, "')")) > (page + 4) * kPageBytes;
  }));
  const std::string file =
      absl::StrCat(postgres.data_dir(0), "/",
                   postgres.Execute(0, absl::StrCat("select pg_relation_filepath('", kLog, "')")));
  const auto flip = [&] {
    postgres.Stop(0);
    EXPECT_TRUE(FlipABitOf(file, (page + 1) * kPageBytes - 20));
    EXPECT_TRUE(postgres.StartAgain(0));
  };
  flip();
  world.gateways().Start(follower);
  EXPECT_TRUE(BecomesTrue([&] { return HasLogged(world, follower, "page verification failed"); }));
  flip();
  EXPECT_TRUE(world.load().AwaitAnswers(30));
}

// JetStream does not notice a bit that is flipped in a server's block, and shows from then on what
// is left. A replica that was away, and reads there, has to notice. The operator's way out is an
// empty disk: the server gets everything from the others.
void FlipABitOnDiskOfJetStream(FaultWorld& world) {
  constexpr int kServer = 1;
  constexpr int64_t kSome = 20'000;
  NatsCluster& nats = *world.nats();
  const int follower = world.AnyFollower();
  EXPECT_EQ(world.gateways().Stop(follower), 0);
  const std::string file = NewestBlockBelow(nats.store_dir(kServer));
  ASSERT_FALSE(file.empty());
  const auto size = [&file] { return static_cast<int64_t>(std::filesystem::file_size(file)); };
  const int64_t before = size();
  // Once a block is full, another one grows.
  EXPECT_TRUE(BecomesTrue([&] {
    return size() > before + kSome || NewestBlockBelow(nats.store_dir(kServer)) != file;
  }));
  nats.Kill(kServer);
  EXPECT_TRUE(FlipABitOf(file, (before + size()) / 2));
  EXPECT_TRUE(nats.StartAgain(kServer));
  EXPECT_TRUE(world.load().AwaitAnswers(30));
  world.gateways().Start(follower);
  EXPECT_TRUE(world.load().AwaitAnswers(30));
  std::cout << "  after the flipped bit the replica that was away is "
            << (world.gateways().IsWell(follower) ? "well" : "not well") << std::endl;
  nats.Kill(kServer);
  nats.WipeDisk(kServer);
  EXPECT_TRUE(nats.StartAgain(kServer));
  EXPECT_TRUE(BecomesTrue([&nats] { return nats.IsWhole(); }));
  // One that has seen two histories says so, and waits for a person.
  world.gateways().Kill(follower);
  world.gateways().Start(follower);
  EXPECT_TRUE(world.load().AwaitAnswers(30));
}

void FlipABitOnDiskOfEngine(FaultWorld& world) {
  world.postgres() != nullptr ? FlipABitOnDiskOfPostgres(world) : FlipABitOnDiskOfJetStream(world);
}

// Somebody cancels each wait for the standby. PostgreSQL then says that the commit is done, with a
// WARNING beside it, though the standby lacks it: nobody may be answered 200 for that.
void CancelWaitsForTheStandby(FaultWorld& world) {
  if (world.postgres() == nullptr) {
    std::cout << "  skipped: PostgreSQL alone has this" << std::endl;
    return;
  }
  PostgresCluster& postgres = *world.postgres();
  postgres.Freeze(1);
  EXPECT_TRUE(BecomesTrue([&] { return world.load().StaysSilent(absl::Seconds(1)); }));
  const int64_t answers = world.load().answers();
  EXPECT_GE(postgres.CancelWaitsForStandbys(5), 5);
  EXPECT_EQ(world.load().answers(), answers) << "what no standby has was answered 200";
  postgres.Kill(0);
  postgres.Thaw(1);
  EXPECT_TRUE(postgres.StartAgain(0));
  EXPECT_TRUE(world.load().AwaitAnswers(30));
}

std::vector<Round> AllRounds() {
  return {{"kill_leader", LeaderSuffers("kill")},
          {"kill_follower", FollowerSuffers("kill")},
          {"stop_leader", LeaderSuffers("stop")},
          {"pause_leader", LeaderSuffers("pause")},
          {"pause_follower", FollowerSuffers("pause")},
          {"cut_leader_from_engine", LeaderSuffers("cut_from_engine")},
          {"cut_follower_from_engine", FollowerSuffers("cut_from_engine")},
          {"lost_answers_of_engine", LeaderSuffersAWhile("lose_answers_of_engine")},
          {"cut_leader_from_peers", LeaderSuffersAWhile("cut_from_peers")},
          {"cut_follower_from_peers", FollowerSuffers("cut_from_peers")},
          {"deaf_leader", LeaderSuffersAWhile("deaf_to_peers")},
          {"deaf_follower", FollowerSuffers("deaf_to_peers")},
          {"wipe_leader", LeaderSuffers("wipe")},
          {"wipe_follower", FollowerSuffers("wipe")},
          {"full_disk_of_leader", LeaderSuffersAWhile("full_disk")},
          {"full_disk_of_follower", FollowerSuffers("full_disk")},
          {"wrong_clock_of_leader", LeaderSuffersAWhile("wrong_clock")},
          {"wrong_clock_of_follower", FollowerSuffers("wrong_clock")},
          {"flipped_bit", FlipABit},
          {"kill_engine_server_0", KillEngineServer(0)},
          {"kill_engine_server_1", KillEngineServer(1)},
          {"slow_engine_server_0", SlowEngineServer(0)},
          {"slow_engine_server_1", SlowEngineServer(1)},
          {"stuttering_engine_server_0", StutteringEngineServer(0)},
          {"stuttering_engine_server_1", StutteringEngineServer(1)},
          {"flipped_bit_on_disk_of_engine", FlipABitOnDiskOfEngine},
          {"cancelled_waits_for_standby", CancelWaitsForTheStandby},
          {"rolling_restart", RestartInTurn},
          {"full_disk_of_engine_server_0", FullDiskOfEngineServer(0), /*small_disks=*/true},
          {"full_disk_of_engine_server_1", FullDiskOfEngineServer(1), /*small_disks=*/true}};
}

// Two replicas suffer something, or one and the engine, one after the other and together.
void TwoAtRandom(FaultWorld& world) {
  const std::vector<Fault> faults = FaultsOfReplicas();
  const auto pick = [&] { return faults[world.random()() % faults.size()]; };
  // How long the faults last, alone and together.
  const auto wait = [&] { absl::SleepFor(absl::Milliseconds(world.Any(3000))); };
  const int first = world.Any(FaultWorld::kReplicas);
  const int second = (first + 1 + world.Any(FaultWorld::kReplicas - 1)) % FaultWorld::kReplicas;
  const Fault one = pick();
  const Fault other = pick();
  const bool of_engine = world.Any(4) == 0;
  const int server = world.Any(world.engine_servers());
  std::cout << "  " << one.name << " of " << first << ", "
            << (of_engine ? absl::StrCat("the engine's server ", server)
                          : absl::StrCat(other.name, " of ", second))
            << std::endl;
  one.begin(world, first);
  wait();
  of_engine ? world.KillEngineServer(server) : other.begin(world, second);
  wait();
  if (of_engine) world.StartEngineServer(server);
  one.end(world, first);
  wait();
  if (!of_engine) other.end(world, second);
}

TEST(FaultRoundsTest, NothingIsLostDoubledOrOutOfOrder) {
  const std::string engine = TextFrom("CLUSTER_ENGINE", "postgresql");
  const uint64_t seed = NumberFrom("CLUSTER_SEED", std::random_device{}());
  const absl::Time end = absl::Now() + absl::Seconds(NumberFrom("CLUSTER_SECONDS", 150));
  const std::string wanted = TextFrom("CLUSTER_ROUNDS", kShortSet);
  std::cout << "CLUSTER_ENGINE=" << engine << " CLUSTER_SEED=" << seed << std::endl;
  SCOPED_TRACE(absl::StrCat("CLUSTER_SEED=", seed));
  const EngineKind kind = engine == "jetstream" ? EngineKind::kJetStream : EngineKind::kPostgres;
  const uint64_t random_rounds = NumberFrom("CLUSTER_RANDOM", 2);
  std::set<std::string> names = absl::StrSplit(wanted, ',');
  std::vector<Round> rounds;
  for (const Round& round : AllRounds()) {
    if (names.erase(round.name) > 0 || wanted == "all") rounds.push_back(round);
  }
  names.erase("all");
  EXPECT_THAT(names, IsEmpty()) << "there are no such rounds";
  for (const bool small_disks : {false, true}) {
    std::vector<Round> here;
    for (const Round& round : rounds) {
      if (round.small_disks == small_disks) here.push_back(round);
    }
    if (!small_disks) {
      for (uint64_t i = 1; i <= random_rounds; ++i) {
        here.push_back({absl::StrCat("random_", i), TwoAtRandom});
      }
    }
    if (here.empty()) continue;
    const auto world = FaultWorld::Start(kind, seed, small_disks);
    if (world == nullptr) GTEST_SKIP() << engine << " is not installed";
    for (const Round& round : here) {
      if (absl::Now() > end) {
        std::cout << round.name << ": no time left" << std::endl;
        continue;
      }
      if (!world->Round(round.name, [&] { round.act(*world); })) return;
    }
    std::cout << world->Totals() << std::endl;
  }
}

}  // namespace
}  // namespace hookgate
