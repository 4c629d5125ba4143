#include "server/eventlog/delivery_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace hookgate {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(seconds); }

HistoryEntry Nacked(int64_t delivery, const std::string& consumer, const std::string& reason) {
  return {.sequence = 5,
          .time = At(delivery * 10 + 5),
          .attempt = DeliveryAttempt{.number = static_cast<int>(delivery),
                                     .delivery = delivery,
                                     .consumer = consumer,
                                     .begin = At(delivery * 10),
                                     .end = At(delivery * 10 + 5),
                                     .how = DeliveryEnd::kNacked,
                                     .reason = reason}};
}

TEST(DeliveryHistoryTest, AttemptsAreTheSameAfterTheyWereStored) {
  std::vector<DeliveryAttempt> attempts = {*Nacked(1, "a", "no\0route").attempt,
                                           *Nacked(300, std::string(200, 'c'), "").attempt};
  attempts[0].end = attempts[0].begin - absl::Seconds(30);  // The wall clock was set back.
  attempts[1].how = DeliveryEnd::kSettled;
  const auto decoded = DecodeAttempts(EncodeAttempts(attempts));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ASSERT_THAT(*decoded, SizeIs(2));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*decoded)[i].number, attempts[i].number);
    EXPECT_EQ((*decoded)[i].delivery, attempts[i].delivery);
    EXPECT_EQ((*decoded)[i].consumer, attempts[i].consumer);
    EXPECT_EQ((*decoded)[i].begin, attempts[i].begin);
    EXPECT_EQ((*decoded)[i].end, attempts[i].end);
    EXPECT_EQ((*decoded)[i].how, attempts[i].how);
    EXPECT_EQ((*decoded)[i].reason, attempts[i].reason);
  }
  EXPECT_THAT(*DecodeAttempts(""), IsEmpty());
}

// Whatever is on the disk.
TEST(DeliveryHistoryTest, DamagedAttemptsAreDataLoss) {
  const std::string bytes = EncodeAttempts({*Nacked(1, "consumer", "reason").attempt});
  for (size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeAttempts(bytes.substr(0, size)).status())) << size;
  }
  EXPECT_TRUE(absl::IsDataLoss(DecodeAttempts(std::string(100, '\xff')).status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeAttempts(absl::StrCat(bytes, bytes, "x")).status()));
  std::string unknown_end = bytes;
  unknown_end[unknown_end.find("consumer") - 2] = 99;
  EXPECT_TRUE(absl::IsDataLoss(DecodeAttempts(unknown_end).status()));
}

TEST(DeliveryHistoryTest, KeepsTheNewestAttemptsAndReasonsAndCountsAll) {
  DeliveryHistory history;
  const std::string reason(1024, 'r');
  for (int i = 1; i <= 30; ++i) AddEntry(Nacked(i, absl::StrCat("c", i), reason), history);
  EXPECT_EQ(history.count, 30);
  ASSERT_THAT(history.attempts, SizeIs(20));
  EXPECT_EQ(history.attempts.front().delivery, 11);
  EXPECT_EQ(history.attempts.back().delivery, 30);
  EXPECT_EQ(history.attempts[15].reason, "");
  EXPECT_EQ(history.attempts[16].reason, reason);
  EXPECT_EQ(history.first_delivery_time, At(10));
  EXPECT_EQ(history.last_delivery_time, At(300));
  EXPECT_EQ(history.consumer, "c30");
  EXPECT_EQ(history.number, 30);
  EXPECT_EQ(history.time, At(305));
  EXPECT_EQ(history.outcome, DeliveryOutcome::kOpen);
}

// Who had acked an event, and when, was gone once it had been delivered again.
TEST(DeliveryHistoryTest, AnAckAtTheFirstAttemptIsOneOfTheAttemptsOnceThereAreMore) {
  DeliveryHistory history = {.outcome = DeliveryOutcome::kAcked,
                             .time = At(15),
                             .consumer = "a",
                             .number = 1,
                             .first_delivery_time = At(10),
                             .last_delivery_time = At(10),
                             .count = 1};
  AddEntry(Nacked(2, "b", "busy"), history);
  ASSERT_THAT(history.attempts, SizeIs(2));
  EXPECT_EQ(history.attempts[0].consumer, "a");
  EXPECT_EQ(history.attempts[0].begin, At(10));
  EXPECT_EQ(history.attempts[0].end, At(15));
  EXPECT_EQ(history.attempts[0].how, DeliveryEnd::kAcked);
  EXPECT_EQ(history.attempts[1].consumer, "b");
  EXPECT_EQ(history.count, 2);
}

// An ack may come after its deadline, while somebody else has the event: it is the late one's.
TEST(DeliveryHistoryTest, LateAckIsTheOneOfWhoSentIt) {
  DeliveryHistory history;
  AddEntry(Nacked(1, "a", "slow"), history);
  HistoryEntry late = Nacked(2, "b", "");
  late.attempt->how = DeliveryEnd::kSettled;
  late.outcome = DeliveryOutcome::kAcked;
  late.late_ack = 1;
  AddEntry(late, history);
  EXPECT_EQ(history.outcome, DeliveryOutcome::kAcked);
  EXPECT_EQ(history.consumer, "a");
  EXPECT_EQ(history.number, 1);
  EXPECT_EQ(history.count, 2);
  late.attempt.reset();
  late.late_ack = 99;
  AddEntry(late, history);
  EXPECT_EQ(history.consumer, "") << "nobody remembers that delivery";
}

}  // namespace
}  // namespace hookgate
