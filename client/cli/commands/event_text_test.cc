#include "client/cli/commands/event_text.h"

#include <sstream>

#include "client/testing/fake_gateway.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hookgate::cli {
namespace {

using ::hookgate::testing::MakeEvent;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

const Reader kReader = {absl::FromUnixSeconds(1'750'000'000) + absl::Minutes(3),
                        absl::FixedTimeZone(2 * 60 * 60), Style(false)};
const Reader kColourReader = {kReader.now, kReader.zone, Style(true)};

v1::Event Hostile() {
  v1::Event event = MakeEvent(1);
  for (std::string* text :
       {event.mutable_source(), event.mutable_webhook_id(), event.mutable_type(),
        event.mutable_subject(), event.mutable_cursor()}) {
    *text = "\x1b[2J\r\n";
  }
  event.mutable_unrecognized()->set_raw_json("{\"a\":\x1b\r}");
  return event;
}

TEST(EventLineTest, SaysWhenWhatAndWhich) {
  EXPECT_EQ(EventLine(MakeEvent(1), kReader),
            "2025-06-15 17:06:41+02:00 (2 min ago)  #1  batch.failed  batch_1  openai/wh_1");
}

TEST(EventLineTest, ShowsWhatIsMissing) {
  EXPECT_EQ(EventLine(v1::Event(), kReader), "- (-)  #0  -  -  /");
}

TEST(EventLineTest, MarksFailuresForTheEye) {
  EXPECT_THAT(EventLine(MakeEvent(1), kColourReader), HasSubstr("\x1b[31mbatch.failed\x1b[0m"));
  v1::Event event = MakeEvent(1);
  event.set_type("batch.completed");
  EXPECT_THAT(EventLine(event, kColourReader), HasSubstr("  batch.completed  "));
}

TEST(EventLineTest, StaysOneHarmlessLine) {
  const std::string line = EventLine(Hostile(), kReader);
  EXPECT_THAT(line, Not(HasSubstr("\x1b")));
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, HasSubstr("\\x1b[2J\\r\\n/\\x1b[2J\\r\\n"));
}

TEST(EventPageTest, ShowsABodyOfUnknownTypeAsItCame) {
  v1::Event event = MakeEvent(1);
  event.mutable_unrecognized()->set_raw_json("{\n  \"type\": \"x\"\n}\n");
  EXPECT_THAT(EventDetails(event, kReader),
              EndsWith("body of a type that the gateway does not know:\n"
                       "  {\n"
                       "    \"type\": \"x\"\n"
                       "  }\n"));
}

TEST(EventPageTest, SaysWhenThePayloadIsOfANewerSchema) {
  v1::Event event = MakeEvent(1);
  event.clear_payload();
  EXPECT_THAT(EventDetails(event, kReader),
              EndsWith("payload of a type that this hookgate does not know\n"));
}

TEST(EventPageTest, ShowsTheTracesThatThereAre) {
  v1::Event event = MakeEvent(1);
  EXPECT_THAT(EventDetails(event, kReader), Not(HasSubstr("trace")));
  event.set_trace_parent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  event.set_sender_trace_parent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
  const std::string page = EventDetails(event, kReader);
  EXPECT_THAT(page, HasSubstr("\ntrace           00-4bf92f3577b34da6a3ce929d0e0e4736-"));
  EXPECT_THAT(page, HasSubstr("\nsender's trace  00-0af7651916cd43dd8448eb211c80319c-"));
}

TEST(EventPageTest, IsHarmless) {
  const std::string page = EventDetails(Hostile(), kReader);
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\r")));
  EXPECT_THAT(page, HasSubstr("subject       \\x1b[2J\\r\\n\n"));
}

TEST(EventTableTest, HasARowForEachEvent) {
  Table table(EventColumns());
  table.AddRow(EventCells(MakeEvent(1), kReader));
  std::ostringstream out;
  table.Print(kReader.style, out);
  EXPECT_EQ(out.str(),
            "RECEIVED                   AGE        TYPE          SUBJECT  SOURCE  WEBHOOK-ID  "
            "SEQUENCE\n"
            "2025-06-15 17:06:41+02:00  2 min ago  batch.failed  batch_1  openai  wh_1        "
            "       1\n");
}

TEST(EventJsonTest, IsOneObjectWithTheNamesOfTheProto) {
  EXPECT_EQ(EventJson(MakeEvent(1)),
            R"({"sequence":"1","cursor":"c1","source":"openai","webhook_id":"wh_1",)"
            R"("type":"batch.failed","subject":"batch_1","webhook_time":"2025-06-15T15:06:41Z",)"
            R"("receive_time":"2025-06-15T15:06:41Z","durability":"DURABILITY_LOCAL_DISK",)"
            R"("batch_failed":{"id":"evt_1","data":{"id":"batch_1"},"type":"batch.failed"}})");
}

TEST(EventJsonTest, IsOneLineAndHarmless) {
  EXPECT_THAT(EventJson(Hostile()), Not(HasSubstr("\n")));
  EXPECT_THAT(EventJson(Hostile()), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace hookgate::cli
