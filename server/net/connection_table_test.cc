#include "server/net/connection_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace hookgate {
namespace {

using Address = ConnectionTable::Address;
using Admission = ConnectionTable::Admission;

class FakeConnection final : public TrackedConnection {
 public:
  void MakeRoom() override {}
  using TrackedConnection::SetState;
};

Address V4(uint8_t last) { return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last}; }
Address V6(uint8_t network, uint8_t host) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, host};
}

class ConnectionTableTest : public testing::Test {
 protected:
  // Adds a connection; fails the test unless it is admitted.
  int64_t Add(const Address& address, ConnectionState state, int since, bool exempt = false) {
    const auto decision = table_.Admit(address, exempt);
    EXPECT_EQ(decision.admission, Admission::kAdmitted);
    return Track(decision.id, state, since);
  }
  int64_t Track(int64_t id, ConnectionState state, int since) {
    connections_[id] = std::make_shared<FakeConnection>();
    connections_[id]->SetState(state, absl::Seconds(since));
    table_.Add(id, connections_[id]);
    return id;
  }
  void Remove(int64_t id) {
    connections_.erase(id);
    table_.Remove(id);
  }
  // Which one leaves for a new one; 0: none.
  int64_t Leaving(const Address& address, bool exempt = false) {
    const auto decision = table_.Admit(address, exempt);
    last_ = decision.admission;
    if (decision.id != 0) Track(decision.id, ConnectionState::kBusy, 0);
    for (const auto& [id, connection] : connections_) {
      if (connection == decision.leaving) return id;
    }
    return 0;
  }

  ConnectionTable table_{{.all = 3, .of_an_address = 2, .refusing = 1}};
  std::map<int64_t, std::shared_ptr<FakeConnection>> connections_;
  Admission last_ = Admission::kAdmitted;
};

// 1,024 mute connections closed the port until they timed out.
TEST_F(ConnectionTableTest, LongestIdleLeavesWhenAllPlacesAreTaken) {
  Add(V4(1), ConnectionState::kArriving, 1);
  const int64_t second = Add(V4(2), ConnectionState::kIdleUnproven, 3);
  const int64_t first = Add(V4(3), ConnectionState::kIdleUnproven, 2);
  EXPECT_EQ(Leaving(V4(4)), first);
  EXPECT_EQ(Leaving(V4(5)), second);
  EXPECT_EQ(last_, Admission::kAdmitted);
}

TEST_F(ConnectionTableTest, ProvenOnesLeaveAfterTheOthersAndArrivingOnesLast) {
  const int64_t arriving_first = Add(V4(1), ConnectionState::kArriving, 1);
  const int64_t proven = Add(V4(2), ConnectionState::kIdleProven, 2);
  const int64_t unproven = Add(V4(3), ConnectionState::kIdleUnproven, 3);
  EXPECT_EQ(Leaving(V4(4)), unproven);
  EXPECT_EQ(Leaving(V4(5)), proven);
  EXPECT_EQ(Leaving(V4(6)), arriving_first);
  EXPECT_EQ(Leaving(V4(7)), 0);
  EXPECT_EQ(last_, Admission::kFull);
}

// A choice that was made when it was idle does not hold for a connection that has gone on.
TEST_F(ConnectionTableTest, OneThatHasGoneOnStays) {
  const int64_t first = Add(V4(1), ConnectionState::kIdleUnproven, 1);
  const int64_t second = Add(V4(2), ConnectionState::kIdleUnproven, 2);
  const int64_t third = Add(V4(3), ConnectionState::kIdleUnproven, 3);
  EXPECT_EQ(Leaving(V4(4)), first);
  connections_[second]->SetState(ConnectionState::kBusy, absl::Seconds(4));
  EXPECT_EQ(Leaving(V4(5)), third);
  connections_[second]->SetState(ConnectionState::kIdleProven, absl::Seconds(5));
  EXPECT_EQ(Leaving(V4(6)), second);
}

// One address once could have all places.
TEST_F(ConnectionTableTest, AddressThatHasItsShareMakesRoomItself) {
  Add(V4(1), ConnectionState::kIdleUnproven, 1);
  const int64_t a = Add(V4(2), ConnectionState::kIdleUnproven, 2);
  Add(V4(2), ConnectionState::kBusy, 3);
  EXPECT_EQ(Leaving(V4(2)), a);
  EXPECT_EQ(Leaving(V4(2)), 0);
  EXPECT_EQ(last_, Admission::kAddressFull);
  // One is told; the next one only closed.
  EXPECT_EQ(Leaving(V4(2)), 0);
  EXPECT_EQ(last_, Admission::kDropped);
}

TEST_F(ConnectionTableTest, NetworkOfIpv6CountsAsOneAddress) {
  const int64_t first = Add(V6(1, 1), ConnectionState::kIdleUnproven, 1);
  Add(V6(1, 2), ConnectionState::kIdleUnproven, 2);
  EXPECT_EQ(Leaving(V6(1, 3)), first);
  EXPECT_EQ(Leaving(V6(2, 1)), 0);
  EXPECT_EQ(last_, Admission::kAdmitted);
}

TEST_F(ConnectionTableTest, ProxyIsHeldToTheLimitOnAllAlone) {
  const int64_t first = Add(V4(1), ConnectionState::kIdleUnproven, 1, /*exempt=*/true);
  Add(V4(1), ConnectionState::kBusy, 2, /*exempt=*/true);
  Add(V4(1), ConnectionState::kBusy, 3, /*exempt=*/true);
  EXPECT_EQ(Leaving(V4(1), /*exempt=*/true), first);
  EXPECT_EQ(Leaving(V4(1), /*exempt=*/true), 0);
  EXPECT_EQ(last_, Admission::kFull);
}

TEST_F(ConnectionTableTest, PlacesComeBackWhenConnectionsEnd) {
  const int64_t first = Add(V4(1), ConnectionState::kBusy, 1);
  Add(V4(1), ConnectionState::kBusy, 2);
  EXPECT_EQ(Leaving(V4(1)), 0);
  EXPECT_EQ(last_, Admission::kAddressFull);
  Remove(first);
  const int64_t third = Add(V4(1), ConnectionState::kIdleUnproven, 3);
  EXPECT_EQ(Leaving(V4(1)), third);  // It does not count any more, though it is still there.
  Remove(third);
  EXPECT_EQ(Leaving(V4(1)), 0);
  EXPECT_EQ(last_, Admission::kDropped);  // The one that was told is still there.
  while (!connections_.empty()) Remove(connections_.begin()->first);
  EXPECT_TRUE(table_.empty());
  Add(V4(1), ConnectionState::kBusy, 4);
  Add(V4(1), ConnectionState::kBusy, 5);
}

// More mute ones than one search keeps.
TEST(ConnectionTableFloodTest, MuteOnesLeaveInTheOrderInWhichTheyCame) {
  constexpr size_t kConnections = 300;
  constexpr size_t kMore = 1000;
  for (const ConnectionTable::Limits& limits :
       {ConnectionTable::Limits{.all = kConnections, .of_an_address = kMore, .unproven = kMore},
        ConnectionTable::Limits{.all = kMore, .of_an_address = kConnections, .unproven = kMore},
        ConnectionTable::Limits{.all = kMore, .of_an_address = kMore, .unproven = kConnections}}) {
    ConnectionTable table(limits);
    std::map<int64_t, std::shared_ptr<FakeConnection>> connections;
    for (size_t i = 0; i < 2 * kConnections; ++i) {
      const auto decision = table.Admit(V4(1), false);
      ASSERT_EQ(decision.admission, Admission::kAdmitted);
      if (i >= kConnections) {
        ASSERT_EQ(decision.leaving, connections.begin()->second) << i;
        const int64_t leaving = connections.begin()->first;
        connections.erase(connections.begin());
        table.Remove(leaving);
      }
      auto connection = std::make_shared<FakeConnection>();
      connection->SetState(ConnectionState::kIdleUnproven, absl::Seconds(i));
      table.Add(decision.id, connection);
      connections[decision.id] = std::move(connection);
    }
  }
}

// One that a search has found, and that is somebody's then.
TEST(UnprovenConnectionsTest, WhoHasProvenItselfSinceTheSearchStays) {
  ConnectionTable table({.all = 10, .of_an_address = 10, .unproven = 3});
  std::vector<std::shared_ptr<FakeConnection>> connections;
  std::vector<int64_t> ids;
  const auto add = [&] {
    const auto decision = table.Admit(V4(1), false);
    connections.push_back(std::make_shared<FakeConnection>());
    connections.back()->SetState(ConnectionState::kIdleUnproven, absl::Seconds(ids.size()));
    table.Add(decision.id, connections.back());
    ids.push_back(decision.id);
    return decision.leaving;
  };
  for (int i = 0; i < 3; ++i) add();
  EXPECT_EQ(add(), connections[0]);
  table.SetProven(ids[1]);
  EXPECT_EQ(add(), nullptr) << "there is room again";
  EXPECT_EQ(add(), connections[2]);
}

// A stranger must not take the places of those who have proven who they are.
TEST(UnprovenConnectionsTest, HaveABoundOfTheirOwn) {
  ConnectionTable table({.all = 10, .of_an_address = 10, .unproven = 2});
  std::map<int64_t, std::shared_ptr<FakeConnection>> connections;
  const auto add = [&](int since) {
    const auto decision = table.Admit(V4(1), /*exempt=*/false);
    EXPECT_EQ(decision.admission, Admission::kAdmitted);
    auto connection = std::make_shared<FakeConnection>();
    connection->SetState(ConnectionState::kIdleUnproven, absl::Seconds(since));
    table.Add(decision.id, connection);
    connections[decision.id] = connection;
    return decision;
  };
  const auto proven = add(1);
  table.SetProven(proven.id);
  const auto oldest = add(2);
  EXPECT_FALSE(table.IsCrowdedSince(absl::Seconds(0)));
  add(3);
  EXPECT_FALSE(table.IsCrowdedSince(absl::Seconds(2)));
  EXPECT_TRUE(table.IsCrowdedSince(absl::Seconds(1)));
  EXPECT_EQ(add(4).leaving, connections[oldest.id]);
  table.Remove(oldest.id);
  table.SetProven(oldest.id);
  EXPECT_EQ(connections.size(), 4);
}

// Who looked at connections under the table's lock could be the last to hold one: its destructor
// then waited for the lock that its own thread had, and the port was closed for ever.
TEST(ConnectionTableThreadsTest, NoConnectionEndsWhileTheTableLooksAtIt) {
  static thread_local bool looking = false;
  struct World {
    std::mutex mu;
    ConnectionTable table{
        ConnectionTable::Limits{.all = 1, .of_an_address = 1, .refusing = 0, .unproven = 1}};
    std::atomic<bool> ended_under_lock = false;
  };
  struct Connection final : TrackedConnection {
    explicit Connection(World& in) : world(in) {}
    ~Connection() override {
      if (looking) {  // With the lock: to take it here would be the end.
        world.ended_under_lock = true;
        world.table.Remove(id);
        return;
      }
      const std::lock_guard<std::mutex> lock(world.mu);
      world.table.Remove(id);
    }
    void MakeRoom() override {}
    using TrackedConnection::SetState;
    World& world;
    int64_t id = 0;
  };
  World world;
  std::mutex& mu = world.mu;
  ConnectionTable& table = world.table;
  std::atomic<int64_t> looks_taken = 0;
  std::atomic<bool> stop = false;
  std::thread looks([&] {
    while (!stop) {
      std::this_thread::yield();  // The other one has its turn.
      const std::lock_guard<std::mutex> lock(mu);
      looking = true;
      for (int i = 0; i < 100; ++i) {
        ++looks_taken;
        table.IsCrowdedSince(absl::ZeroDuration());
        const auto decision = table.Admit(V4(1), /*exempt=*/false);
        if (decision.id != 0) table.Remove(decision.id);
      }
      looking = false;
    }
  });
  for (int i = 0; i < 200; ++i) {
    auto connection = std::make_shared<Connection>(world);
    connection->SetState(ConnectionState::kBusy, absl::ZeroDuration());
    {
      const std::lock_guard<std::mutex> lock(mu);
      connection->id = table.Admit(V4(2), /*exempt=*/false).id;
      table.Add(connection->id, connection);
    }
    const int64_t taken = looks_taken;
    while (looks_taken == taken) std::this_thread::yield();
    connection = nullptr;  // While the other one looks.
  }
  stop = true;
  looks.join();
  EXPECT_FALSE(world.ended_under_lock);
}

}  // namespace
}  // namespace hookgate
