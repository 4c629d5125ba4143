// The names of operator events, and that each is stored as its .proto says.

#include "server/operator_events/operator_news.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "hookgate/v1/event.pb.h"
#include "server/event/event_schema.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr OperatorEventType kAll[] = {
    OperatorEventType::kDeadLettered,  OperatorEventType::kStuck,
    OperatorEventType::kLost,          OperatorEventType::kSilent,
    OperatorEventType::kSecretFailing, OperatorEventType::kReloadFailed,
};

TEST(OperatorEventTypesTest, AreThoseOfTheSchema) {
  std::set<std::string> names, schema;
  for (const OperatorEventType type : kAll) names.insert(std::string(NameOf(type)));
  for (const EventType& type : BuiltInEventTypes()) schema.insert(type.name);
  EXPECT_EQ(names, schema);
}

TEST(OperatorEventTypesTest, AreMatchedByNameOrByWhatTheyAreBelow) {
  const auto count = [](absl::string_view pattern) {
    const auto types = MatchOperatorEventTypes(pattern);
    return types.ok() ? types->size() : 0;
  };
  EXPECT_EQ(count("*"), 6u);
  EXPECT_EQ(count("hookgate.*"), 6u);
  EXPECT_EQ(count("hookgate.subscription.*"), 3u);
  EXPECT_EQ(count("hookgate.reload.failed"), 1u);
  for (const char* pattern : {"", "hookgate", "hookgate.sub*", "batch.failed", "hookgate.reload",
                              "**", "hookgate.reload.failed.*"}) {
    EXPECT_EQ(count(pattern), 0u) << pattern;
  }
  EXPECT_THAT(std::string(MatchOperatorEventTypes("dead").status().message()),
              HasSubstr("hookgate.subscription.dead_lettered"));
}

TEST(MakeOperatorEventTest, TheBodyAndTheTypedPayloadAreTheSame) {
  const OperatorNews news = {
      .type = OperatorEventType::kDeadLettered,
      .id = "dead_lettered/3/42/1750000000000000",
      .time = absl::FromUnixSeconds(1'750'000'000),
      .left_out = 7,
      .data = R"({"subscription":"billing","events":2,"dead_letters":5,"last_sequence":42,)"
              R"("last_cause":"nacked"})"};
  const std::string trace_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto event = MakeOperatorEvent(news, {.trace_parent = trace_parent});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ((*event)->source, "hookgate");
  EXPECT_EQ((*event)->webhook_id, news.id);
  EXPECT_EQ((*event)->type, "hookgate.subscription.dead_lettered");
  EXPECT_EQ((*event)->subject, "billing");
  EXPECT_TRUE((*event)->failure);
  EXPECT_FALSE((*event)->is_webhook);
  EXPECT_EQ((*event)->receive_time, news.time);
  EXPECT_EQ((*event)->raw_body,
            absl::StrCat(R"({"id":"dead_lettered/3/42/1750000000000000","created_at":1750000000,)",
                         R"("type":"hookgate.subscription.dead_lettered","left_out":7,"data":)",
                         news.data, "}"));
  hookgate::v1::Event envelope;
  ASSERT_TRUE(envelope.ParseFromString((*event)->envelope));
  EXPECT_EQ(envelope.trace_parent(), trace_parent);
  const auto& payload = envelope.subscription_dead_lettered();
  EXPECT_EQ(payload.id(), news.id);
  EXPECT_EQ(payload.created_at(), 1'750'000'000);
  EXPECT_EQ(payload.left_out(), 7);
  EXPECT_EQ(payload.data().events(), 2);
  EXPECT_EQ(payload.data().dead_letters(), 5);
  EXPECT_EQ(payload.data().last_sequence(), 42);
  EXPECT_EQ(payload.data().last_cause(), "nacked");
}

TEST(MakeOperatorEventTest, DataOfAnotherShapeIsAMistake) {
  EXPECT_TRUE(absl::IsInternal(
      MakeOperatorEvent({.type = OperatorEventType::kLost, .id = "x", .data = "{}"}, {}).status()));
}

}  // namespace
}  // namespace hookgate
