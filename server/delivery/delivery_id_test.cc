#include "server/delivery/delivery_id.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

bool Takes(absl::string_view text, const DeliveryIds& ids) {
  return ParseDeliveryId(text, ids).has_value();
}

TEST(DeliveryIdTest, ComesBackAsItWas) {
  const DeliveryIds ids = {7, Stretches({{1, 0xa}, {10, 0xb}})};
  for (const int64_t number : {1, 9, 10, 11}) {
    const auto id = ParseDeliveryId(FormatDeliveryId(ids, {42, number}), ids);
    ASSERT_TRUE(id.has_value()) << number;
    EXPECT_EQ(id->sequence, 42);
    EXPECT_EQ(id->number, number);
  }
  EXPECT_EQ(FormatDeliveryId(ids, {42, 10}), "7.42.10.0000000b");
}

// A consumer held deliveries 10 to 12 when a backup was put back that had 9: once as many had been
// delivered again, its acks settled events that others were working on.
TEST(DeliveryIdTest, IdOfAnotherHistoryIsUnknown) {
  const DeliveryIds before = {7, Stretches({{1, 0xa}})};
  const DeliveryIds put_back = {7, Stretches({{1, 0xa}, {10, 0xb}})};
  EXPECT_TRUE(Takes(FormatDeliveryId(before, {42, 9}), put_back));
  EXPECT_FALSE(Takes(FormatDeliveryId(before, {42, 10}), put_back));
  EXPECT_FALSE(Takes(FormatDeliveryId(put_back, {42, 10}), before));
}

TEST(DeliveryIdTest, IdOfAnotherSubscriptionIsUnknown) {
  const Stretches numbers({{1, 0xa}});
  EXPECT_FALSE(Takes(FormatDeliveryId({7, numbers}, {42, 1}), {8, numbers}));
}

TEST(DeliveryIdTest, IdWithoutAMarkIsOfBeforeTheFirstStretch) {
  const DeliveryIds ids = {7, Stretches({{10, 0xb}})};
  EXPECT_TRUE(Takes("7.42.9", ids));
  EXPECT_FALSE(Takes("7.42.10", ids));
}

TEST(DeliveryIdTest, TextThatIsNoIdIsUnknown) {
  const DeliveryIds ids = {7, Stretches({{1, 0xb}})};
  ASSERT_TRUE(Takes("7.42.1.0000000b", ids));
  for (const absl::string_view text :
       {"", "7", "7.42", "7.42.", "7.42.1.", "7.42.1.b", "7.42.1.0000000B", "7.42.01.0000000b",
        "7.42.1.0000000b ", "7.42.1.0000000b.", "7.42.1.0000000b0", "+7.42.1.0000000b",
        "7.42.99999999999999999999.0000000b"}) {
    EXPECT_FALSE(Takes(text, ids)) << text;
  }
}

}  // namespace
}  // namespace hookgate
