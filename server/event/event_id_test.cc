#include "server/event/event_id.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/event/decode_event.h"
#include "server/event/event_schema.h"
#include "server/event/sample_event.h"

namespace hookgate {
namespace {

// Of each body, the id that decoding it finds is the one that is found in what was stored.
std::string IdOf(const std::string& body) {
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  if (!decoded.ok()) return "";
  EXPECT_EQ(EventIdOf(decoded->event), decoded->event_id) << body;
  return decoded->event_id;
}

TEST(EventIdTest, EachKnownTypeHasOne) {
  for (const EventType& type : KnownEventTypes()) {
    const std::string body = SampleEventBody(type, "", absl::FromUnixSeconds(1));
    EXPECT_NE(IdOf(body), "") << type.name;
  }
}

TEST(EventIdTest, UnknownTypeMayHaveOne) {
  EXPECT_EQ(IdOf(R"({"type":"x.y","id":"evt_1"})"), "evt_1");
  EXPECT_EQ(IdOf("\xef\xbb\xbf"
                 R"({"type":"x.y","id":"evt_1"})"),
            "evt_1");
  EXPECT_EQ(IdOf(R"({"type":"x.y"})"), "");
  EXPECT_EQ(IdOf(R"({"type":"x.y","id":7})"), "");
}

TEST(EventIdTest, LongOneIsNoKey) {
  const std::string longest(kMaxKeyBytes, 'a');
  EXPECT_EQ(IdOf(absl::StrCat(R"({"type":"x.y","id":")", longest, "\"}")), longest);
  EXPECT_EQ(IdOf(absl::StrCat(R"({"type":"x.y","id":")", longest, "b\"}")), "");
}

TEST(EventIdTest, EventWithoutPayloadHasNone) { EXPECT_EQ(EventIdOf(hookgate::v1::Event()), ""); }

}  // namespace
}  // namespace hookgate
