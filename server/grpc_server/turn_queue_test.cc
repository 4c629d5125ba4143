#include "server/grpc_server/turn_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Queue = TurnQueue<std::string>;
constexpr TurnGroup kA = {{1}};
constexpr TurnGroup kB = {{2}};
constexpr TurnGroup kC = {{3}};

std::vector<std::string> PopAll(Queue& queue) {
  std::vector<std::string> all;
  while (!queue.empty()) all.push_back(queue.Pop());
  return all;
}

TEST(TurnQueueTest, OfOneAddressTheFirstIsFirst) {
  Queue queue;
  EXPECT_TRUE(queue.empty());
  for (const char* name : {"a1", "a2", "a3"}) queue.Push(kA, name);
  EXPECT_FALSE(queue.empty());
  EXPECT_THAT(PopAll(queue), ElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(PopAll(queue), IsEmpty());
}

TEST(TurnQueueTest, AddressesTakeTurns) {
  Queue queue;
  for (const char* name : {"a1", "a2", "a3"}) queue.Push(kA, name);
  for (const char* name : {"b1", "b2"}) queue.Push(kB, name);
  queue.Push(kC, "c1");
  EXPECT_THAT(PopAll(queue), ElementsAre("a1", "b1", "c1", "a2", "b2", "a3"));
}

// A crowd that comes again after each turn.
TEST(TurnQueueTest, ACrowdIsOneTurnAheadOfSomebodyElse) {
  Queue queue;
  for (int i = 0; i < 500; ++i) queue.Push(kA, "crowd");
  queue.Push(kA, queue.Pop());
  queue.Push(kB, "other");
  EXPECT_EQ(queue.Pop(), "crowd");
  queue.Push(kA, "crowd");
  EXPECT_EQ(queue.Pop(), "other");
  queue.Push(kB, "other again");
  EXPECT_EQ(queue.Pop(), "crowd");
  EXPECT_EQ(queue.Pop(), "other again");
}

// A new client of an address waited behind all of those who flood from there.
TEST(TurnQueueTest, WhoHasAnIdentityWaitsApartFromWhoHasNone) {
  Queue queue;
  for (const char* name : {"flood 1", "flood 2"}) queue.Push({{1}, true}, name);
  queue.Push(kA, "new client");
  EXPECT_THAT(PopAll(queue), ElementsAre("flood 1", "new client", "flood 2"));
}

TEST(TurnQueueTest, WhatHasHadItsTurnIsNotHeld) {
  TurnQueue<std::shared_ptr<int>> queue;
  const auto held = std::make_shared<int>(0);
  queue.Push(kA, held);
  queue.Push(kA, held);
  queue.Pop();
  EXPECT_EQ(held.use_count(), 2);
  queue.Pop();
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace hookgate
