#include "server/delivery/delivery_encoding.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "google/protobuf/util/message_differencer.h"

namespace hookgate {
namespace {

// The bytes that are put together by hand are the bytes that protobuf would have written.
TEST(DeliveryEncodingTest, AFrameParsesAsTheMessagesItStandsFor) {
  hookgate::v1::Event envelope;
  envelope.set_source("openai");
  envelope.set_webhook_id("wh_1");
  auto event = std::make_shared<StoredEvent>();
  event->sequence = 300;
  event->envelope = envelope.SerializeAsString();
  event->raw_body = std::string("{\"a\":\0}", 7);
  const DeliveryIds ids = {.subscription = 7, .numbers = Stretches({{1, 0x1234abcd}})};
  EventLogHistory history;
  history.epoch = "00000000000000aa";
  history.sequences = Stretches({{1, 0x1234abcd}});
  std::vector<Delivery> deliveries(3);
  deliveries[0].lease.id = {300, 1};
  deliveries[0].lease.attempt = 1;
  deliveries[0].lease.expire_time = absl::FromUnixSeconds(1'800'000'000);
  deliveries[1].lease = {.id = {300, 1'000'000},
                         .attempt = 200,
                         .lost_deliveries = 300,
                         .expire_time = absl::FromUnixMicros(1'800'000'000'123'456),
                         .cause = DeliveryCause::kNacked,
                         .nack_reason = std::string(500, 'r')};
  deliveries[2].lease.attempt = 1;
  deliveries[2].lease.expire_time = absl::FromUnixMicros(-1);  // a clock that is wrong
  for (Delivery& delivery : deliveries) delivery.event = event;
  for (const bool include_raw_body : {false, true}) {
    const DeliveryFormat format = {ids, history, include_raw_body};
    hookgate::v1::ConsumeResponse response;
    ASSERT_TRUE(response.ParseFromString(EncodeDeliveriesFrame(deliveries, format)));
    ASSERT_EQ(response.deliveries().deliveries_size(), 3);
    for (int i = 0; i < 3; ++i) {
      const hookgate::v1::Delivery& parsed = response.deliveries().deliveries(i);
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
          parsed, ToProto(deliveries[static_cast<size_t>(i)], format)))
          << parsed.ShortDebugString();
    }
    EXPECT_EQ(response.deliveries().deliveries(0).delivery_id(), "7.300.1.1234abcd");
  }
}

}  // namespace
}  // namespace hookgate
