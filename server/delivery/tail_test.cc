#include "server/delivery/tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;

class TailTest : public testing::Test {
 protected:
  static StoredEventPtr EventAt(Sequence sequence, size_t bytes = 10) {
    auto event = std::make_shared<StoredEvent>();
    event->sequence = sequence;
    event->envelope = std::string(bytes, 'e');
    return event;
  }
  static void Commit(Tail& tail, Sequence first, Sequence last) {
    std::vector<StoredEventPtr> events;
    for (Sequence sequence = first; sequence <= last; ++sequence) {
      events.push_back(EventAt(sequence));
    }
    tail.OnCommit(events);
  }
  static std::vector<Sequence> ReadAll(const Tail& tail, Sequence after) {
    std::vector<Sequence> sequences;
    const auto slice = tail.Read(after, 1000);
    for (const StoredEventPtr& event : slice->events) {
      sequences.push_back(event->sequence);
    }
    return sequences;
  }

  FakeClock clock_;
  HeadWatch watch_{clock_};
};

TEST_F(TailTest, BeforeTheFirstCommitOnlyTheHeadCanBeReadFrom) {
  Tail tail({}, watch_);
  tail.StartAfter(5);
  ASSERT_TRUE(tail.Read(5, 10).has_value());
  EXPECT_EQ(tail.Read(5, 10)->head, 5);
  EXPECT_FALSE(tail.Read(4, 10).has_value());
}

TEST_F(TailTest, OldestEventsLeaveFirstAndTheirReadersAreSentToDisk) {
  Tail tail({.max_events = 3}, watch_);
  tail.StartAfter(0);
  Commit(tail, 1, 2);
  EXPECT_THAT(ReadAll(tail, 0), ElementsAre(1, 2));
  Commit(tail, 3, 5);
  EXPECT_FALSE(tail.Read(1, 10).has_value());
  EXPECT_THAT(ReadAll(tail, 2), ElementsAre(3, 4, 5));
  EXPECT_THAT(ReadAll(tail, 5), ElementsAre());
}

TEST_F(TailTest, BytesAreBoundedButTheNewestEventStays) {
  Tail tail({.max_bytes = 100}, watch_);
  tail.StartAfter(0);
  tail.OnCommit({EventAt(1, 60), EventAt(2, 60)});
  EXPECT_THAT(ReadAll(tail, 1), ElementsAre(2));
  tail.OnCommit({EventAt(3, 500)});
  EXPECT_FALSE(tail.Read(1, 10).has_value());
  EXPECT_THAT(ReadAll(tail, 2), ElementsAre(3));
}

TEST_F(TailTest, ReadReturnsNoMoreThanAskedFor) {
  Tail tail({}, watch_);
  tail.StartAfter(0);
  Commit(tail, 1, 5);
  const auto slice = tail.Read(1, 2);
  ASSERT_EQ(slice->events.size(), 2u);
  EXPECT_EQ(slice->events[1]->sequence, 3);
  EXPECT_EQ(slice->head, 5);
}

}  // namespace
}  // namespace hookgate
