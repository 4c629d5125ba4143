#include "server/delivery/event_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<Sequence> SequencesOf(const FeedPage& page) {
  std::vector<Sequence> sequences;
  for (const StoredEventPtr& event : page.page.events) sequences.push_back(event->sequence);
  return sequences;
}

std::vector<Sequence> SequencesOf(const HeldEvents& held) {
  std::vector<Sequence> sequences;
  for (const auto& [sequence, event] : held) sequences.push_back(sequence);
  return sequences;
}

// The tail holds the last two events, and the log all of them.
class EventFeedTest : public testing::Test {
 protected:
  EventFeedTest() { tail_.StartAfter(0); }

  void Append(const std::string& type, const std::string& raw_body = "{}") {
    AppendEvent(*log_, {.type = type, .raw_body = raw_body});
  }
  FeedRequest PageAfter(Sequence after, const std::string& type = "") {
    hookgate::v1::SubscriptionSettings settings;
    settings.mutable_filter()->add_sources("openai");
    if (!type.empty()) settings.mutable_filter()->add_types(type);
    FeedRequest request{.after = after};
    request.settings = std::make_shared<const SubscriptionSettings>(
        *SubscriptionSettings::FromProto(settings, "settings"));
    return request;
  }
  FeedRequest WantedEvents(std::vector<Sequence> sequences, std::set<Sequence> reasons = {}) {
    FeedRequest request = PageAfter(0);
    request.wanted.sequences = std::move(sequences);
    request.reasons = std::move(reasons);
    return request;
  }

  FakeClock clock_;
  HeadWatch watch_{clock_};
  Tail tail_{{.max_events = 2}, watch_};
  std::unique_ptr<SqliteEventLog> log_ = OpenTemporaryLog(&tail_);
  EventFeed feed_{1, tail_, *log_, *log_};
};

TEST_F(EventFeedTest, APageComesFromMemoryOnlyIfAllOfItIsThere) {
  for (int i = 0; i < 4; ++i) Append("batch.failed");
  EXPECT_FALSE(feed_.TakePage(PageAfter(1)).has_value());
  const auto page = feed_.TakePage(PageAfter(2));
  ASSERT_TRUE(page.has_value());
  EXPECT_THAT(SequencesOf(*page), ElementsAre(3, 4));
  EXPECT_TRUE(page->has_raw_bodies);
}

// What a filter does not admit has been looked at all the same: the next page is after it.
TEST_F(EventFeedTest, APageSaysHowFarItHasLooked) {
  Append("batch.failed");
  Append("batch.completed");
  for (const bool from_memory : {true, false}) {
    const FeedRequest request = PageAfter(0, "batch.failed");
    const FeedPage page = from_memory ? *feed_.TakePage(request) : *feed_.ReadPage(request);
    EXPECT_THAT(SequencesOf(page), ElementsAre(1)) << from_memory;
    EXPECT_EQ(page.page.scanned_to, 2) << from_memory;
    EXPECT_EQ(page.last.sequence, 2) << from_memory;
  }
}

TEST_F(EventFeedTest, APageAtTheEndIsEmpty) {
  Append("batch.failed");
  EXPECT_THAT(SequencesOf(*feed_.TakePage(PageAfter(1))), IsEmpty());
  EXPECT_THAT(SequencesOf(*feed_.ReadPage(PageAfter(1))), IsEmpty());
}

TEST_F(EventFeedTest, TheFirstEventComesWhateverItsSizeAndNoMoreThanFits) {
  for (int i = 0; i < 2; ++i) Append("batch.failed", std::string(EventFeed::kMaxBytes + 1, 'x'));
  EXPECT_THAT(SequencesOf(*feed_.TakePage(PageAfter(0))), ElementsAre(1));
  EXPECT_THAT(SequencesOf(*feed_.TakeWanted(WantedEvents({1, 2}))), ElementsAre(1));
  FeedRequest with_body = WantedEvents({1, 2});
  with_body.wanted.include_raw_body = true;
  EXPECT_THAT(SequencesOf(*feed_.ReadWanted(with_body)), ElementsAre(1));
}

TEST_F(EventFeedTest, WantedEventsComeFromMemoryUpToTheFirstThatIsNotThere) {
  for (int i = 0; i < 4; ++i) Append("batch.failed");
  EXPECT_FALSE(feed_.TakeWanted(WantedEvents({1, 4})).has_value());
  EXPECT_THAT(SequencesOf(*feed_.TakeWanted(WantedEvents({4, 1}))), ElementsAre(4));
  // Why it was nacked is on the disk alone.
  EXPECT_FALSE(feed_.TakeWanted(WantedEvents({4}, {4})).has_value());
}

TEST_F(EventFeedTest, WantedEventsThatAreFarApartAreAllRead) {
  for (int i = 0; i < 100; ++i) Append("batch.failed");
  EXPECT_THAT(SequencesOf(*feed_.ReadWanted(WantedEvents({100, 1, 2, 50}))),
              ElementsAre(1, 2, 50, 100));
}

TEST_F(EventFeedTest, ErrorsSayWhatRetentionHasRemovedAndWhatTheLogLacks) {
  for (int i = 0; i < 3; ++i) Append("batch.failed");
  ASSERT_EQ(*log_->Trim({2, 2}), 2);
  EXPECT_TRUE(absl::IsOutOfRange(feed_.ReadWanted(WantedEvents({1})).status()));
  EXPECT_TRUE(absl::IsOutOfRange(feed_.ReadPage(PageAfter(0)).status()));
  EXPECT_TRUE(absl::IsDataLoss(feed_.ReadWanted(WantedEvents({7})).status()));
}

}  // namespace
}  // namespace hookgate
