// What is JSON and what is not, and errors, are shown in decode_event_test.cc; here is the value
// that comes out.
#include "server/event/parse_json.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

namespace json = boost::json;

json::value Parse(absl::string_view text) {
  json::value document;
  const absl::Status status = ParseJson(text, document);
  EXPECT_TRUE(status.ok()) << status << "\n" << text;
  return document;
}

TEST(ParseJsonTest, EveryKindOfValueComesOut) {
  const json::value expected = {
      {"text", "a\n\xc3\xa9"},   {"list", {1, -2, nullptr, true, false, json::array()}},
      {"object", {{"", 0.5}}},   {"large", std::numeric_limits<uint64_t>::max()},
      {"empty", json::object()},
  };
  EXPECT_EQ(Parse(R"( {"text": "a\n\u00e9", "list": [1, -2, null, true, false, []],
                       "object": {"": 5e-1}, "large": 18446744073709551615, "empty": {}} )"),
            expected);
  EXPECT_EQ(Parse(json::serialize(expected)), expected);
}

// Longer than any buffer inside the parser.
TEST(ParseJsonTest, LongTextsAndKeysComeOutWhole) {
  const std::string text = absl::StrCat(std::string(100'000, 'a'), "\\n", std::string(5'000, 'b'));
  const json::value document = Parse(absl::StrCat("{\"", text, "\": \"", text, "\"}"));
  const std::string expected =
      absl::StrCat(std::string(100'000, 'a'), "\n", std::string(5'000, 'b'));
  ASSERT_TRUE(document.as_object().contains(expected));
  EXPECT_EQ(document.as_object().at(expected).as_string(), expected);
}

TEST(ParseJsonTest, DoublesAreTheNearestToTheirText) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = absl::StrCat(
        random() % 1'000'000, random(), ".", random() % (i % 3 ? 1'000 : random()),
        i % 2 ? "" : "e", i % 2 ? "" : absl::StrCat(static_cast<int>(random() % 80) - 60));
    EXPECT_EQ(Parse(text).as_double(), std::strtod(text.c_str(), nullptr)) << text;
  }
}

TEST(ParseJsonTest, DoublesOutOfRangeAreInfiniteOrZero) {
  EXPECT_EQ(Parse("1e400"), json::value(std::numeric_limits<double>::infinity()));
  EXPECT_EQ(Parse("-1e400"), json::value(-std::numeric_limits<double>::infinity()));
  EXPECT_EQ(Parse("1e-400"), json::value(0.0));
}

TEST(ParseJsonTest, ValueUsesTheMemoryOfTheDocument) {
  unsigned char memory[4096];
  json::monotonic_resource resource(memory, sizeof(memory), json::get_null_resource());
  json::value document(&resource);
  ASSERT_TRUE(ParseJson(R"({"a": ["b", {"c": 1.5}]})", document).ok());
  EXPECT_EQ(document.storage().get(), &resource);
  EXPECT_EQ(document.at("a").storage().get(), &resource);
}

}  // namespace
}  // namespace hookgate
