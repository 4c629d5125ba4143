#include "server/event/sample_event.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/event/decode_event.h"
#include "server/event/test_messages.pb.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1750861210);

TEST(SampleEventTest, EveryKnownTypeHasASampleThatDecodesToIt) {
  for (const EventType& type : KnownEventTypes()) {
    const auto decoded = DecodeEvent(SampleEventBody(type, "subject_7", kNow));
    ASSERT_TRUE(decoded.ok()) << type.name << ": " << decoded.status();
    EXPECT_EQ(decoded->event.type(), type.name);
    EXPECT_EQ(decoded->event.subject(), "subject_7");
    EXPECT_TRUE(decoded->event.GetReflection()->HasField(decoded->event, type.arm)) << type.name;
  }
}

// A text without an example would be an empty one.
TEST(SampleEventTest, EveryTextOfAKnownTypeHasAnExample) {
  for (const EventType& type : KnownEventTypes()) {
    EXPECT_THAT(SampleEventBody(type, "", kNow), Not(HasSubstr("\"\""))) << type.name;
  }
}

TEST(SampleEventTest, TextsAreTheSchemasExamplesUnlessASubjectIsGiven) {
  const EventType& type = *FindEventType("batch.failed");
  EXPECT_EQ(SampleEventBody(type, "", kNow),
            R"({"id":"evt_abc123","created_at":1750861210,"data":{"id":"batch_abc123"},)"
            R"("type":"batch.failed","object":"event"})");
  EXPECT_EQ(SampleEventBody(type, "a \"b\"", kNow),
            R"({"id":"evt_abc123","created_at":1750861210,"data":{"id":"a \"b\""},)"
            R"("type":"batch.failed","object":"event"})");
}

TEST(SampleEventTest, OptionalFieldsAreThereAndListsHoldOneElement) {
  const auto types = ReadEventTypes(*event::test::GoodEnvelope::descriptor()->oneof_decl(0));
  ASSERT_TRUE(types.ok()) << types.status();
  EXPECT_EQ(SampleEventBody(types->at(1), "", kNow),
            R"({"type":"call.incoming","data":{"call_id":"call_1",)"
            R"("sip_headers":[{"name":"From","value":"sip:a@example.com"}],)"
            R"("sip_media_security":"","tags":[""],"recorded":false,"ring_count":1750861210,)"
            R"("connect":{"remote_url":""},"ports":[1750861210],"flags":[false]}})");
}

}  // namespace
}  // namespace hookgate
