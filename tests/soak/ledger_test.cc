#include "tests/soak/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hookgate {
namespace {

class LedgerTest : public testing::Test {
 protected:
  // As of a gateway that does everything right.
  void SendAndRead(int count) {
    for (int i = 0; i < count; ++i) {
      const int64_t webhook = ledger_.NewWebhook();
      ledger_.NoteAnswer(webhook, webhook);
      Read(webhook, webhook);
      ledger_.NoteDelivery(webhook, Ledger::WebhookId(webhook));
    }
  }
  void Read(int64_t sequence, int64_t webhook) {
    ledger_.NoteEvent(sequence, Ledger::WebhookId(webhook), "cursor", position_);
  }

  Ledger ledger_;
  Ledger::Position position_ = {.reader = "reader"};
};

TEST_F(LedgerTest, NothingIsFoundWhereEverythingIsRight) {
  SendAndRead(3);
  ledger_.NoteAnswer(2, 2);
  ledger_.NoteAck(1);
  ledger_.Settle();
  EXPECT_EQ(ledger_.counts().findings(), 0);
  EXPECT_EQ(ledger_.counts().answered, 3);
  EXPECT_EQ(ledger_.counts().repeats, 1);
  EXPECT_EQ(position_.sequence, 3);
  EXPECT_EQ(position_.cursor, "cursor");
  EXPECT_THAT(ledger_.examples(), testing::IsEmpty());
}

// As when the gateway was killed before it could answer.
TEST_F(LedgerTest, WhatIsStoredNeedNotBeAnswered) {
  ledger_.NewWebhook();
  Read(1, 1);
  ledger_.NoteDelivery(1, Ledger::WebhookId(1));
  ledger_.Settle();
  EXPECT_EQ(ledger_.counts().findings(), 0);
}

TEST_F(LedgerTest, AnsweredWebhookThatNoReaderGotIsLost) {
  SendAndRead(1);
  ledger_.NoteAnswer(ledger_.NewWebhook(), 2);
  ledger_.Settle();
  EXPECT_EQ(ledger_.counts().lost, 1);
}

TEST_F(LedgerTest, EventThatTheDurableSubscriptionDidNotGetIsLost) {
  const int64_t webhook = ledger_.NewWebhook();
  ledger_.NoteAnswer(webhook, 1);
  Read(1, webhook);
  ledger_.Settle();
  EXPECT_EQ(ledger_.counts().lost, 1);
}

TEST_F(LedgerTest, WebhookUnderTwoSequencesIsADuplicate) {
  SendAndRead(2);
  Read(3, 1);
  EXPECT_EQ(ledger_.counts().duplicates, 1);
}

TEST_F(LedgerTest, RepeatWithAnotherSequenceIsADuplicate) {
  SendAndRead(2);
  ledger_.NoteAnswer(1, 3);
  EXPECT_EQ(ledger_.counts().duplicates, 1);
}

TEST_F(LedgerTest, HoleAndStepBackAreOutOfOrder) {
  SendAndRead(2);
  ledger_.NewWebhook();
  ledger_.NewWebhook();
  Read(4, 4);
  EXPECT_EQ(ledger_.counts().out_of_order, 1);
  Read(3, 3);
  EXPECT_EQ(ledger_.counts().out_of_order, 2);
  EXPECT_THAT(ledger_.examples(), testing::ElementsAre("reader got sequence 4 after 2",
                                                       "reader got sequence 3 after 4"));
}

TEST_F(LedgerTest, DeliveryAfterAnAnsweredAckIsFound) {
  SendAndRead(1);
  ledger_.NoteAck(1);
  ledger_.NoteDelivery(1, Ledger::WebhookId(1));
  EXPECT_EQ(ledger_.counts().came_back, 1);
}

TEST_F(LedgerTest, WhatNobodySentIsFound) {
  ledger_.NoteEvent(1, "wh_other", "", position_);
  ledger_.NoteEvent(2, Ledger::WebhookId(1), "", position_);
  EXPECT_EQ(ledger_.counts().others, 2);
}

}  // namespace
}  // namespace hookgate
