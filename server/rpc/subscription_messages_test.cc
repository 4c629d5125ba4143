#include "server/rpc/subscription_messages.h"

#include <gtest/gtest.h>

#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::v1::AcknowledgeRequest;

// Of 10,001 acks the last one was answered RESULT_UNKNOWN, as if there were no such delivery.
TEST(SubscriptionMessagesTest, AcknowledgeTakesTenThousandOfEach) {
  AcknowledgeRequest full;
  for (int i = 0; i < 10'000; ++i) {
    full.mutable_ack()->add_delivery_ids("a");
    full.mutable_nack()->add_items();
    full.mutable_extend()->add_items();
  }
  EXPECT_TRUE(CheckLengths(full).ok());
  EXPECT_TRUE(CheckLengths({}).ok());
  AcknowledgeRequest acks = full;
  acks.mutable_ack()->add_delivery_ids("a");
  EXPECT_EQ(FieldOf(CheckLengths(acks)), "ack.delivery_ids");
  AcknowledgeRequest nacks = full;
  nacks.mutable_nack()->add_items();
  EXPECT_EQ(FieldOf(CheckLengths(nacks)), "nack.items");
  AcknowledgeRequest extends = full;
  extends.mutable_extend()->add_items();
  EXPECT_EQ(FieldOf(CheckLengths(extends)), "extend.items");
}

}  // namespace
}  // namespace hookgate
