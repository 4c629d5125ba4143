#include "server/event/event_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "hookgate/v1/event.pb.h"
#include "server/event/test_messages.pb.h"

namespace hookgate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

template <typename Envelope>
absl::StatusOr<std::vector<EventType>> ReadFrom() {
  return ReadEventTypes(*Envelope::descriptor()->FindOneofByName("payload"));
}

std::vector<std::string> NamesOf(
    const std::vector<const google::protobuf::FieldDescriptor*>& path) {
  std::vector<std::string> names;
  names.reserve(path.size());
  for (const auto* step : path) names.push_back(step->name());
  return names;
}

TEST(EventSchemaTest, BatchFailedIsKnown) {
  const EventType* type = FindEventType("batch.failed");
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->name, "batch.failed");
  EXPECT_EQ(type->arm->number(), hookgate::v1::Event::kBatchFailedFieldNumber);
  EXPECT_EQ(type->message, hookgate::openai::v1::BatchFailedWebhookEvent::descriptor());
  EXPECT_TRUE(type->failure);
  EXPECT_THAT(NamesOf(type->subject_path), ElementsAre("data", "id"));
}

TEST(EventSchemaTest, OtherTypesAreNotKnown) {
  for (const char* name : {"", "batch", "batch.faile", "batch.failedx", "Batch.failed", "zzz"}) {
    EXPECT_EQ(FindEventType(name), nullptr) << name;
  }
}

// Walks the whole schema: a wrong option in a .proto aborts here, before it does so at a start.
TEST(EventSchemaTest, EveryArmButUnrecognizedIsAKnownType) {
  const auto* payload = hookgate::v1::Event::descriptor()->FindOneofByName("payload");
  EXPECT_EQ(KnownEventTypes().size() + BuiltInEventTypes().size(),
            static_cast<size_t>(payload->field_count()) - 1);
  for (const std::vector<EventType>* types : {&KnownEventTypes(), &BuiltInEventTypes()}) {
    for (const EventType& type : *types) {
      EXPECT_EQ(type.arm->message_type(), type.message);
      EXPECT_THAT(type.subject_path, testing::Not(IsEmpty())) << type.name;
    }
  }
  for (const EventType& type : KnownEventTypes()) EXPECT_EQ(FindEventType(type.name), &type);
}

TEST(EventSchemaTest, BuiltInTypesAreTheGatewaysAndNotWebhooks) {
  for (const EventType& type : BuiltInEventTypes()) {
    EXPECT_TRUE(absl::StartsWith(type.name, "hookgate.")) << type.name;
    EXPECT_EQ(FindBuiltInEventType(type.name), &type);
    EXPECT_EQ(FindEventType(type.name), nullptr);
    EXPECT_EQ(IsFailureType(type.name), type.failure);
    EXPECT_GE(type.arm->number(), 30);
    EXPECT_LE(type.arm->number(), 49);
  }
  EXPECT_EQ(FindBuiltInEventType("batch.failed"), nullptr);
  EXPECT_TRUE(IsFailureType("hookgate.subscription.dead_lettered"));
  EXPECT_FALSE(IsFailureType("hookgate.source.silent"));
}

// A message whose arm was forgotten would be decoded as an UnrecognizedEvent, in silence.
TEST(EventSchemaTest, EveryEventMessageIsAnArm) {
  std::set<const google::protobuf::Descriptor*> arms;
  for (const EventType& type : KnownEventTypes()) arms.insert(type.message);
  const google::protobuf::FileDescriptor& envelope = *hookgate::v1::Event::descriptor()->file();
  size_t messages = 0;
  for (int i = 0; i < envelope.dependency_count(); ++i) {
    const google::protobuf::FileDescriptor& file = *envelope.dependency(i);
    for (int j = 0; j < file.message_type_count(); ++j) {
      const google::protobuf::Descriptor* message = file.message_type(j);
      if (!absl::EndsWith(message->name(), "WebhookEvent")) continue;
      ++messages;
      EXPECT_EQ(arms.count(message), 1u)
          << message->full_name() << " is no arm of hookgate.v1.Event.payload, or has no literal";
    }
  }
  EXPECT_EQ(messages, KnownEventTypes().size());
}

TEST(EventSchemaTest, FailureIsTheSchemasWordAndElseTheEnding) {
  EXPECT_TRUE(IsFailureType("batch.failed"));
  EXPECT_TRUE(IsFailureType("batch.expired"));
  EXPECT_FALSE(IsFailureType("batch.cancelled"));
  EXPECT_TRUE(IsFailureType("video.failed"));
  EXPECT_TRUE(IsFailureType(".failed"));
  EXPECT_FALSE(IsFailureType("failed"));
  EXPECT_FALSE(IsFailureType("video.completed"));
  EXPECT_FALSE(IsFailureType("video.failed.not"));
  EXPECT_FALSE(IsFailureType(""));
}

TEST(ReadEventTypesTest, TypesComeByNameWithoutArmsThatHaveNone) {
  const auto types = ReadFrom<event::test::GoodEnvelope>();
  ASSERT_TRUE(types.ok()) << types.status();
  ASSERT_EQ(types->size(), 2u);
  EXPECT_EQ(types->at(0).name, "call.failed");
  EXPECT_TRUE(types->at(0).failure);
  EXPECT_THAT(types->at(0).subject_path, IsEmpty());
  EXPECT_EQ(types->at(1).name, "call.incoming");
  EXPECT_FALSE(types->at(1).failure);
  EXPECT_THAT(NamesOf(types->at(1).subject_path), ElementsAre("data", "call_id"));
}

TEST(ReadEventTypesTest, WrongSchemasAreRefusedByName) {
  const std::vector<std::pair<absl::Status, std::string>> rows = {
      {ReadFrom<event::test::UndecodableEnvelope>().status(),
       "HasDouble.Data.ratio: type double cannot be decoded"},
      {ReadFrom<event::test::ScalarEnvelope>().status(), "ScalarEnvelope.arm: must be a message"},
      {ReadFrom<event::test::OptionalTypeEnvelope>().status(),
       "OptionalType.type: must be required"},
      {ReadFrom<event::test::TwinEnvelope>().status(), "TwinEnvelope."},
      {ReadFrom<event::test::TwoSubjectsEnvelope>().status(), "TwoSubjects.b: is a second subject"},
      {ReadFrom<event::test::NumberSubjectEnvelope>().status(),
       "NumberSubject.number: a subject must be a string"},
      {ReadFrom<event::test::ListedSubjectEnvelope>().status(),
       "ListedSubject.Item.id: a subject must be a string"},
  };
  for (const auto& [status, expected] : rows) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                StartsWith(absl::StrCat("hookgate.event.test.", expected)));
  }
}

}  // namespace
}  // namespace hookgate
