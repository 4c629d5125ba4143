// The rules for one field are shown in decode_event_test.cc; here are the shapes that batch.failed
// does not have.
#include "server/event/message_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/base/reason.h"
#include "server/base/status.h"
#include "server/event/test_messages.pb.h"

namespace hookgate {
namespace {

using event::test::CallIncoming;
using ::testing::StartsWith;

absl::Status Decode(absl::string_view json, google::protobuf::Message& message) {
  boost::system::error_code error;
  const boost::json::value value =
      boost::json::parse(boost::json::string_view(json.data(), json.size()), error);
  EXPECT_FALSE(error) << error.message() << " in " << json;
  return MessageDecoder::For(*message.GetDescriptor())->Decode(value.as_object(), message);
}

// An incoming call with `members` after the required ones of `data`.
std::string CallWith(absl::string_view members) {
  return absl::StrCat(R"({"type": "call.incoming", "data": {"call_id": "c", "sip_headers": [])",
                      members, "}}");
}

CallIncoming::Data DecodeCall(absl::string_view json) {
  CallIncoming call;
  const absl::Status status = Decode(json, call);
  EXPECT_TRUE(status.ok()) << status;
  return call.data();
}

TEST(MessageDecoderTest, RepeatedMessagesKeepOrderAndRepeats) {
  const CallIncoming::Data data = DecodeCall(
      R"({"type": "call.incoming", "data": {"call_id": "c", "sip_headers": [
          {"name": "Via", "value": "1"}, {"name": "From", "value": "2"},
          {"name": "Via", "value": "3", "new": true}]}})");
  ASSERT_EQ(data.sip_headers_size(), 3);
  EXPECT_EQ(data.sip_headers(0).name(), "Via");
  EXPECT_EQ(data.sip_headers(1).name(), "From");
  EXPECT_EQ(data.sip_headers(2).value(), "3");
}

TEST(MessageDecoderTest, RepeatedScalarsAreDecoded) {
  const CallIncoming::Data data =
      DecodeCall(CallWith(R"(, "tags": ["a", "", "a"], "ports": [1, 2.0, "3"], "flags": [true])"));
  EXPECT_THAT(data.tags(), testing::ElementsAre("a", "", "a"));
  EXPECT_THAT(data.ports(), testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(data.flags(), testing::ElementsAre(true));
}

TEST(MessageDecoderTest, RequiredListMayBeEmptyAndAnotherMayBeMissing) {
  const CallIncoming::Data data = DecodeCall(CallWith(R"(, "tags": null)"));
  EXPECT_EQ(data.sip_headers_size(), 0);
  EXPECT_EQ(data.tags_size(), 0);
}

TEST(MessageDecoderTest, OptionalFieldsTellAbsentFromEmpty) {
  const CallIncoming::Data absent = DecodeCall(CallWith(R"(, "recorded": null, "connect": null)"));
  EXPECT_FALSE(absent.has_sip_media_security());
  EXPECT_FALSE(absent.has_recorded());
  EXPECT_FALSE(absent.has_ring_count());
  EXPECT_FALSE(absent.has_connect());

  const CallIncoming::Data empty = DecodeCall(
      CallWith(R"(, "sip_media_security": "", "recorded": false, "ring_count": 0, "connect": {})"));
  EXPECT_TRUE(empty.has_sip_media_security());
  EXPECT_TRUE(empty.has_recorded());
  EXPECT_TRUE(empty.has_ring_count());
  EXPECT_TRUE(empty.has_connect());
  EXPECT_FALSE(empty.connect().has_remote_url());
}

TEST(MessageDecoderTest, ErrorsNamePathsIntoLists) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {R"({"type": "call.incoming", "data": {"call_id": "c"}})", "data.sip_headers: is missing"},
      {CallWith(R"(, "sip_headers": {})"), "data.sip_headers: must be an array, not an object"},
      {CallWith(R"(, "sip_headers": [null])"), "data.sip_headers[0]: must be an object, not null"},
      {CallWith(R"(, "sip_headers": [{"name": "a", "value": "b"}, {"name": "a", "value": 1}])"),
       "data.sip_headers[1].value: must be a string, not the number 1"},
      {CallWith(R"(, "sip_headers": [{"name": "a"}])"), "data.sip_headers[0].value: is missing"},
      {CallWith(R"(, "tags": ["a", 1])"), "data.tags[1]: must be a string, not the number 1"},
      {CallWith(R"(, "ports": [1.5])"),
       "data.ports[0]: must be a whole number, not the number 1.5"},
      {CallWith(R"(, "recorded": 1)"), "data.recorded: must be true or false, not the number 1"},
      {CallWith(R"(, "connect": {"remote_url": 1})"),
       "data.connect.remote_url: must be a string, not the number 1"},
  };
  for (const auto& [json, message] : rows) {
    CallIncoming call;
    const absl::Status status = Decode(json, call);
    EXPECT_EQ(std::string(status.message()), message);
    EXPECT_EQ(ReasonOf(status), reason::kInvalidEvent);
  }
}

TEST(MessageDecoderTest, EveryKindThatLaterEventsNeedIsDecodable) {
  EXPECT_TRUE(MessageDecoder::For(*CallIncoming::descriptor()).ok());
}

TEST(MessageDecoderTest, OtherKindsAreRefusedByName) {
  const std::vector<std::pair<const google::protobuf::Descriptor*, std::string>> rows = {
      {event::test::HasDouble::descriptor(), "HasDouble.Data.ratio: type double cannot be decoded"},
      {event::test::HasBytes::descriptor(), "HasBytes.blob: type bytes cannot be decoded"},
      {event::test::HasUnsigned::descriptor(), "HasUnsigned.count: type uint64 cannot be decoded"},
      {event::test::HasEnum::descriptor(), "HasEnum.colour: type enum cannot be decoded"},
      {event::test::HasMap::descriptor(), "HasMap.labels: maps cannot be decoded"},
      {event::test::HasOneof::descriptor(), "HasOneof.one: oneofs cannot be decoded"},
      {event::test::HasItself::descriptor(), "HasItself.child: a message holds itself"},
      {event::test::HasItselfInList::descriptor(),
       "HasItselfInList.Child.children: a message holds itself"},
      {event::test::HasPlainString::descriptor(),
       "HasPlainString.note: must be required or optional"},
      {event::test::HasLiteralInList::descriptor(),
       "HasLiteralInList.words: only a singular string can have a literal"},
      {event::test::HasLiteralNumber::descriptor(),
       "HasLiteralNumber.number: only a singular string can have a literal"},
  };
  for (const auto& [message, expected] : rows) {
    const absl::Status status = MessageDecoder::For(*message).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                StartsWith(absl::StrCat("hookgate.event.test.", expected)));
  }
}

}  // namespace
}  // namespace hookgate
