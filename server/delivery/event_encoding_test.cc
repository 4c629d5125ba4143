#include "server/delivery/event_encoding.h"

#include <gtest/gtest.h>

#include "google/protobuf/util/message_differencer.h"
#include "hookgate/v1/event_service.pb.h"

namespace hookgate {
namespace {

StoredEvent SampleEvent() {
  hookgate::v1::Event envelope;
  envelope.set_source("openai");
  envelope.set_webhook_id("wh_1");
  envelope.mutable_batch_failed()->mutable_data()->set_id("batch_1");
  StoredEvent event;
  event.sequence = 300;  // More than one varint byte.
  event.envelope = envelope.SerializeAsString();
  event.raw_body = std::string("{\"a\":\0}", 7);
  return event;
}

// The bytes that are put together by hand are the bytes that protobuf would have written.
TEST(EventEncodingTest, FramesParseAsTheMessagesTheyStandFor) {
  const StoredEvent event = SampleEvent();
  EventLogHistory history;
  history.epoch = "00000000000000aa";
  history.sequences = Stretches({{1, 0x1234abcd}});
  for (bool include_raw_body : {false, true}) {
    std::string elements;
    AppendBatchElement(event.content(), history, include_raw_body, elements);
    AppendBatchElement(event.content(), history, include_raw_body, elements);
    hookgate::v1::SubscribeResponse response;
    ASSERT_TRUE(response.ParseFromString(EncodeBatchFrame(elements)));
    ASSERT_EQ(response.event_batch().events_size(), 2);
    for (const hookgate::v1::Event& parsed : response.event_batch().events()) {
      EXPECT_EQ(parsed.sequence(), 300);
      EXPECT_EQ(parsed.cursor(), "00000000000000aa-300-1234abcd");
      EXPECT_EQ(parsed.batch_failed().data().id(), "batch_1");
      EXPECT_EQ(parsed.raw_body(), include_raw_body ? event.raw_body : "");
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
          parsed, ToProto(event, history, include_raw_body)));
    }
  }
}

}  // namespace
}  // namespace hookgate
