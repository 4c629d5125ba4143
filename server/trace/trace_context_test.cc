// What a sender's trace headers are taken for, and what the gateway's own contexts look like.

#include "server/trace/trace_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hookgate {
namespace {

using testing::Optional;

constexpr char kTraceParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceParentTest, ValidOnesAreRead) {
  EXPECT_THAT(ReadTraceParent(kTraceParent), Optional(std::string(kTraceParent)));
  const std::string unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  EXPECT_THAT(ReadTraceParent(unsampled), Optional(unsampled));
}

// Level 1 has one flag, and its readers refuse others in version 00.
TEST(TraceParentTest, FlagsOtherThanSampledAreLeftOut) {
  const std::string ids = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-";
  EXPECT_THAT(ReadTraceParent(ids + "03"), Optional(ids + "01"));
  EXPECT_THAT(ReadTraceParent(ids + "ff"), Optional(ids + "01"));
  EXPECT_THAT(ReadTraceParent(ids + "02"), Optional(ids + "00"));
  EXPECT_THAT(ReadTraceParent(ids + "fe"), Optional(ids + "00"));
}

TEST(TraceParentTest, LaterVersionsAreReadAsFarAsThisOneGoes) {
  const std::string rest = "-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const std::string& value :
       {"01" + rest, "cc" + rest, "fe" + rest + "-what-the-future-is", "01" + rest + "-"}) {
    EXPECT_THAT(ReadTraceParent(value), Optional(std::string(kTraceParent))) << value;
  }
  EXPECT_EQ(ReadTraceParent("01" + rest + "x"), absl::nullopt);
  EXPECT_EQ(ReadTraceParent("01" + rest + ".what"), absl::nullopt);
}

TEST(TraceParentTest, InvalidOnesAreNotRead) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const std::string span = "b7ad6b7169203331";
  const std::vector<std::string> values = {
      "",
      "00",
      trace,
      absl::StrCat("00-", trace, "-", span),
      absl::StrCat("00-", trace, "-", span, "-"),
      absl::StrCat("00-", trace, "-", span, "-1"),
      absl::StrCat("00-", trace, "-", span, "-01-"),      // more than version 00 has
      absl::StrCat("00-", trace, "-", span, "-01-more"),  // the same
      absl::StrCat("ff-", trace, "-", span, "-01"),       // not a version
      absl::StrCat("FE-", trace, "-", span, "-01"),       // upper case
      absl::StrCat(".0-", trace, "-", span, "-01"),
      absl::StrCat("00-", "0AF7651916CD43DD8448EB211C80319C", "-", span, "-01"),
      absl::StrCat("00-", trace, "-", "B7AD6B7169203331", "-01"),
      absl::StrCat("00-", trace, "-", span, "-0A"),
      absl::StrCat("00-", std::string(32, '0'), "-", span, "-01"),
      absl::StrCat("00-", trace, "-", std::string(16, '0'), "-01"),
      absl::StrCat("00-", trace.substr(1), "-", span, "-01-"),
      absl::StrCat("00-", trace, "-", span.substr(1), "-010"),
      absl::StrCat("00_", trace, "_", span, "_01"),
      absl::StrCat(" 00-", trace, "-", span, "-01"),
      absl::StrCat("00-", trace.substr(1), "g-", span, "-01"),
      absl::StrCat("00-", trace.substr(1), std::string(1, '\0'), "-", span, "-01"),
  };
  for (const std::string& value : values) EXPECT_EQ(ReadTraceParent(value), absl::nullopt) << value;
}

// Whatever one byte is replaced by, the result is none or a valid one.
TEST(TraceParentTest, WhatIsReadCanBeReadAgain) {
  const std::string good = kTraceParent;
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string value = good;
      value[at] = static_cast<char>(byte);
      const absl::optional<std::string> read = ReadTraceParent(value);
      if (!read.has_value()) continue;
      EXPECT_EQ(ReadTraceParent(*read), read) << at << " " << byte;
    }
  }
}

std::string Members(int count) {
  std::vector<std::string> members;
  for (int i = 0; i < count; ++i) members.push_back(absl::StrCat("k", i, "=v"));
  return absl::StrJoin(members, ",");
}

TEST(TraceStateTest, ListsOfMembersAreValid) {
  for (const std::string& value :
       {std::string("congo=t61rcWkgMzE"), std::string("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        std::string("fw529a3039@dt=FfAAAA, 1a-_*/@b=x y ,\t,c=;:!\"~"), Members(32),
        absl::StrCat("k=", std::string(256, 'v'), ",", "l=", std::string(251, 'v'))}) {
    EXPECT_TRUE(IsTraceState(value)) << value;
  }
}

TEST(TraceStateTest, OthersAreNot) {
  for (const std::string& value :
       {std::string(), std::string(" , ,"), std::string("a"), std::string("a="), std::string("=b"),
        std::string("A=b"), std::string("_a=b"), std::string("a b=c"), std::string("a =b"),
        std::string("a=b=c"), std::string("a=b,a=c"), std::string("a=\x7f"),
        std::string("a=\xc3\xa9"), std::string("a=b\n"), std::string("a.b=c"), Members(33),
        absl::StrCat(std::string(257, 'k'), "=v"), absl::StrCat("k=", std::string(257, 'v')),
        absl::StrCat("k=", std::string(256, 'v'), ",", "l=", std::string(252, 'v'))}) {
    EXPECT_FALSE(IsTraceState(value)) << value;
  }
}

TEST(TraceParentsTest, EachIsValidAndAnotherOne) {
  TraceParents parents;
  std::set<std::string> traces, spans;
  for (int i = 0; i < 1000; ++i) {
    const std::string next = parents.Next();
    EXPECT_THAT(ReadTraceParent(next), Optional(next));
    EXPECT_EQ(next.substr(53), "01");
    EXPECT_EQ(TraceIdOf(next), next.substr(3, 32));
    traces.insert(std::string(TraceIdOf(next)));
    spans.insert(next.substr(36, 16));
  }
  EXPECT_EQ(traces.size(), 1000u);
  EXPECT_EQ(spans.size(), 1000u);
  EXPECT_EQ(TraceIdOf(""), "");
}

TEST(TraceParentsTest, AsManyAreSampledAsTheRatioSays) {
  TraceParents parents(0);
  const auto sampled = [&parents] {
    int count = 0;
    for (int i = 0; i < 10'000; ++i) count += parents.Next().substr(53) == "01" ? 1 : 0;
    return count;
  };
  EXPECT_EQ(sampled(), 0);
  parents.SetSampleRatio(1);
  EXPECT_EQ(sampled(), 10'000);
  // More than 15 standard deviations on either side.
  parents.SetSampleRatio(0.25);
  const int quarter = sampled();
  EXPECT_GT(quarter, 1800);
  EXPECT_LT(quarter, 3200);
}

}  // namespace
}  // namespace hookgate
