#include "server/delivery/event_filter.h"

#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

absl::StatusOr<EventFilter> Filter(const std::string& text) {
  hookgate::v1::EventFilter filter;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &filter));
  return EventFilter::Create(filter);
}

bool Admits(const std::string& filter, const StoredEvent& event) {
  const auto compiled = Filter(filter);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled->Matches(event);
}

StoredEvent EventOf(const std::string& source, const std::string& type,
                    const std::string& subject) {
  StoredEvent event;
  event.source = source;
  event.type = type;
  event.subject = subject;
  return event;
}

TEST(EventFilterTest, EmptyFilterAdmitsEverything) {
  EXPECT_TRUE(Admits("", EventOf("a", "batch.failed", "")));
}

TEST(EventFilterTest, ListsNarrowEachOtherAndEntriesWiden) {
  const std::string filter = R"(sources: "a" sources: "b" subjects: "x")";
  EXPECT_TRUE(Admits(filter, EventOf("b", "t", "x")));
  EXPECT_FALSE(Admits(filter, EventOf("c", "t", "x")));
  EXPECT_FALSE(Admits(filter, EventOf("a", "t", "y")));
}

TEST(EventFilterTest, TypePatternAdmitsWhatIsBelowItsNameAlone) {
  const std::string filter = R"(types: "batch.*" types: "eval.run.failed")";
  EXPECT_TRUE(Admits(filter, EventOf("a", "batch.failed", "")));
  EXPECT_TRUE(Admits(filter, EventOf("a", "batch.x.y", "")));
  EXPECT_TRUE(Admits(filter, EventOf("a", "eval.run.failed", "")));
  EXPECT_FALSE(Admits(filter, EventOf("a", "batch", "")));
  EXPECT_FALSE(Admits(filter, EventOf("a", "batches.failed", "")));
  EXPECT_FALSE(Admits(filter, EventOf("a", "eval.run.failed.x", "")));
  EXPECT_TRUE(Admits(R"(types: "*")", EventOf("a", "anything", "")));
}

TEST(EventFilterTest, BadEntriesAreNamedByTheirPath) {
  EXPECT_EQ(FieldOf(Filter(R"(types: "batch.failed" types: "ba*ch")").status()), "filter.types[1]");
  EXPECT_EQ(FieldOf(Filter(R"(types: "*.failed")").status()), "filter.types[0]");
  EXPECT_EQ(FieldOf(Filter(R"(types: "a.*.*")").status()), "filter.types[0]");
  EXPECT_EQ(FieldOf(Filter(R"(sources: "")").status()), "filter.sources[0]");
  EXPECT_EQ(FieldOf(Filter("subjects: \"" + std::string(1025, 'x') + "\"").status()),
            "filter.subjects[0]");
  std::string many;
  for (int i = 0; i < 101; ++i) many += "subjects: \"x\" ";
  EXPECT_EQ(FieldOf(Filter(many).status()), "filter.subjects");
}

TEST(EventFilterTest, KeyIsTheSameForFiltersThatAdmitTheSame) {
  const auto key = [](std::vector<std::string> sources, std::vector<std::string> types,
                      std::vector<std::string> subjects) {
    hookgate::v1::EventFilter filter;
    for (std::string& source : sources) filter.add_sources(std::move(source));
    for (std::string& type : types) filter.add_types(std::move(type));
    for (std::string& subject : subjects) filter.add_subjects(std::move(subject));
    return EventFilter::Create(filter)->key();
  };
  EXPECT_EQ(key({}, {}, {}), EventFilter().key());
  EXPECT_EQ(key({"a", "b"}, {}, {}), key({"b", "a", "a"}, {}, {}));
  EXPECT_NE(key({"a"}, {}, {}), key({}, {"a"}, {}));
  EXPECT_NE(key({"a"}, {}, {}), key({}, {}, {"a"}));
  EXPECT_NE(key({"a", "b"}, {}, {}), key({"ab"}, {}, {}));
  EXPECT_NE(key({"a", "b"}, {}, {}), key({"a1:b"}, {}, {}));
  EXPECT_NE(key({}, {"batch.*"}, {}), key({}, {"batch."}, {}));
}

TEST(EventFilterTest, SaysWhichListRefuses) {
  hookgate::v1::EventFilter proto;
  proto.add_sources("openai");
  proto.add_types("batch.*");
  proto.add_subjects("batch_1");
  const EventFilter filter = *EventFilter::Create(proto);
  StoredEvent event;
  EXPECT_EQ(filter.RefusedBy(event), FilterList::kSources);
  event.source = "openai";
  EXPECT_EQ(filter.RefusedBy(event), FilterList::kSubjects);
  event.subject = "batch_1";
  EXPECT_EQ(filter.RefusedBy(event), FilterList::kTypes);
  event.type = "batch.failed";
  EXPECT_EQ(filter.RefusedBy(event), absl::nullopt);
  EXPECT_EQ(EventFilter().RefusedBy(StoredEvent()), absl::nullopt);
}

}  // namespace
}  // namespace hookgate
