#include "server/delivery/read_ahead.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace hookgate {
namespace {

StoredEventPtr Event(Sequence sequence) {
  auto event = std::make_shared<StoredEvent>();
  event->sequence = sequence;
  return event;
}

std::vector<StoredEventPtr> Events(std::initializer_list<Sequence> sequences) {
  std::vector<StoredEventPtr> events;
  for (const Sequence sequence : sequences) events.push_back(Event(sequence));
  return events;
}

HeldEvents Wanted(std::initializer_list<Sequence> sequences) {
  HeldEvents held;
  for (const Sequence sequence : sequences) held[sequence] = {Event(sequence)};
  return held;
}

bool Has(const ReadAhead& read_ahead, Sequence sequence) {
  return read_ahead.Find(sequence, /*include_raw_body=*/false, /*needs_reason=*/false) != nullptr;
}

TEST(ReadAheadTest, APageTakesThePlaceOfTheOneBefore) {
  ReadAhead read_ahead;
  read_ahead.KeepPage(Events({1, 2}), false);
  EXPECT_TRUE(Has(read_ahead, 1));
  EXPECT_TRUE(Has(read_ahead, 2));
  read_ahead.KeepPage(Events({3}), false);
  EXPECT_FALSE(Has(read_ahead, 1));
  EXPECT_TRUE(Has(read_ahead, 3));
}

// One kind of wanted event waited for credit, and was read again for each of another kind.
TEST(ReadAheadTest, WantedEventsOfThreeReadsAreKeptBesideThePage) {
  ReadAhead read_ahead;
  read_ahead.KeepPage(Events({9}), false);
  for (const Sequence sequence : {1, 2, 3}) read_ahead.KeepWanted(Wanted({sequence}));
  for (const Sequence sequence : {1, 2, 3, 9}) EXPECT_TRUE(Has(read_ahead, sequence)) << sequence;
  read_ahead.KeepWanted(Wanted({4}));
  EXPECT_FALSE(Has(read_ahead, 1));
  for (const Sequence sequence : {2, 3, 4, 9}) EXPECT_TRUE(Has(read_ahead, sequence)) << sequence;
}

TEST(ReadAheadTest, WhatWasReadWithoutItsBodyIsNotAtHandForAStreamThatWantsIt) {
  ReadAhead read_ahead;
  read_ahead.KeepPage(Events({1}), false);
  EXPECT_EQ(read_ahead.Find(1, /*include_raw_body=*/true, false), nullptr);
  HeldEvents held;
  held[1] = {Event(1), /*has_raw_body=*/true};
  read_ahead.KeepWanted(std::move(held));
  const HeldEvent* const found = read_ahead.Find(1, /*include_raw_body=*/true, false);
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->has_raw_body);
}

TEST(ReadAheadTest, AnEventThatNeedsItsNacksReasonIsAtHandOnlyWithIt) {
  ReadAhead read_ahead;
  read_ahead.KeepWanted(Wanted({1}));
  EXPECT_EQ(read_ahead.Find(1, false, /*needs_reason=*/true), nullptr);
  HeldEvents held;
  held[1] = {Event(1), false, "the printer is on fire"};
  read_ahead.KeepWanted(std::move(held));
  const HeldEvent* const found = read_ahead.Find(1, false, /*needs_reason=*/true);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(*found->nack_reason, "the printer is on fire");
}

TEST(ReadAheadTest, WhatWasHandedOutIsGoneEverywhere) {
  ReadAhead read_ahead;
  read_ahead.KeepPage(Events({1, 2}), false);
  read_ahead.KeepWanted(Wanted({1}));
  read_ahead.KeepWanted(Wanted({1}));
  read_ahead.Take(1);
  EXPECT_FALSE(Has(read_ahead, 1));
  EXPECT_TRUE(Has(read_ahead, 2));
}

TEST(ReadAheadTest, ADiscardMakesWhatIsBeingReadOfNoUse) {
  ReadAhead read_ahead;
  read_ahead.KeepPage(Events({1}), false);
  read_ahead.KeepWanted(Wanted({2}));
  const int64_t asked = read_ahead.generation();
  read_ahead.Discard();
  EXPECT_FALSE(Has(read_ahead, 1));
  EXPECT_FALSE(Has(read_ahead, 2));
  EXPECT_NE(read_ahead.generation(), asked);
}

}  // namespace
}  // namespace hookgate
