// DecodeEvent against the vectors in openai_events.txt, which has every event type, and
// json_bodies.txt, which has what does not depend on the type.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "server/event/decode_event.h"
#include "server/event/event_schema.h"
#include "tests/conformance/canonical_event.h"
#include "tests/conformance/vector_file.h"

namespace hookgate {
namespace {

struct Vector {
  std::string where;
  std::string name;
  std::string body;
  std::string expect;
};

// Whether `name` is a line that the format knows, and its value well-formed.
bool SetLine(const std::string& name, const std::string& value, Vector& vector) {
  if (name == "case")
    vector.name = value;
  else if (name == "body")
    vector.body = value;
  else if (name == "body_escaped")
    return absl::CUnescape(value, &vector.body);
  else if (name == "expect")
    vector.expect = value;
  else
    return false;
  return true;
}

std::vector<Vector> ReadVectors(const std::string& file) {
  std::vector<Vector> vectors;
  for (const VectorBlock& block : ReadVectorFile("tests/conformance/" + file)) {
    Vector vector = {.where = block.where};
    for (const auto& [name, value] : block.lines) {
      EXPECT_TRUE(SetLine(name, value, vector)) << block.where << ": " << name;
    }
    EXPECT_FALSE(vector.name.empty() || vector.expect.empty()) << block.where;
    vectors.push_back(vector);
  }
  return vectors;
}

bool ExpectsAnEvent(const Vector& vector) { return absl::StartsWith(vector.expect, "{"); }

// The answer, as comparable with `expect`.
boost::json::value Outcome(const std::string& body) {
  const absl::StatusOr<DecodedEvent> decoded = DecodeEvent(body);
  if (decoded.ok()) return CanonicalEvent(*decoded);
  return boost::json::value(CanonicalError(decoded.status()));
}

void ExpectOutcome(const Vector& vector) {
  const boost::json::value expected = ExpectsAnEvent(vector) ? boost::json::parse(vector.expect)
                                                             : boost::json::value(vector.expect);
  const boost::json::value outcome = Outcome(vector.body);
  EXPECT_EQ(outcome, expected) << vector.where << ": " << vector.name << "\n" << vector.body;
}

TEST(OpenAiEventsConformanceTest, EveryBodyIsDecodedOrRefusedAsExpected) {
  for (const Vector& vector : ReadVectors("openai_events.txt")) ExpectOutcome(vector);
}

TEST(OpenAiEventsConformanceTest, EveryBodyOfWhateverTypeIsDecodedOrRefusedAsExpected) {
  const std::vector<Vector> vectors = ReadVectors("json_bodies.txt");
  EXPECT_GT(vectors.size(), 50u);
  for (const Vector& vector : vectors) ExpectOutcome(vector);
}

// A case belongs to the type that its name begins with.
TEST(OpenAiEventsConformanceTest, EveryKnownTypeHasVectors) {
  struct Counts {
    int accepted = 0;
    std::set<std::string> refusals;  // different ones
  };
  std::map<std::string, Counts> counts;
  for (const Vector& vector : ReadVectors("openai_events.txt")) {
    const std::string type = vector.name.substr(0, vector.name.find(':'));
    EXPECT_NE(FindEventType(type), nullptr) << vector.where << ": " << type;
    if (ExpectsAnEvent(vector)) {
      ++counts[type].accepted;
    } else {
      counts[type].refusals.insert(vector.expect);
    }
  }
  for (const EventType& type : KnownEventTypes()) {
    EXPECT_GE(counts[type.name].accepted, 1)
        << "add a body of " << type.name << " to openai_events.txt";
    EXPECT_GE(counts[type.name].refusals.size(), 3u)
        << "add bodies that are no " << type.name << " to openai_events.txt";
  }
}

}  // namespace
}  // namespace hookgate
