#include "server/rpc/settings_mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::v1::SubscriptionSettings;
using testing::HasSubstr;

google::protobuf::FieldMask Mask(const std::vector<std::string>& paths) {
  google::protobuf::FieldMask mask;
  for (const std::string& path : paths) mask.add_paths(path);
  return mask;
}

SubscriptionSettings Settings(const std::string& text) {
  SubscriptionSettings settings;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &settings));
  return settings;
}

// What `given` makes of these settings.
std::string Masked(const std::string& given, const std::vector<std::string>& paths) {
  const SubscriptionSettings current =
      Settings("filter { sources: 'mail' types: 'a' } max_attempts: 7 ack_deadline { seconds: 9 }");
  return MaskedSettings(current, Settings(given), Mask(paths)).ShortDebugString();
}

TEST(SettingsMaskTest, ChangesWhatItNamesAndNothingElse) {
  EXPECT_EQ(
      Masked("max_attempts: 3 ack_deadline { seconds: 60 }", {"max_attempts"}),
      "filter { sources: \"mail\" types: \"a\" } ack_deadline { seconds: 9 } max_attempts: 3");
}

TEST(SettingsMaskTest, WhatIsNamedAndAbsentGetsItsDefault) {
  EXPECT_EQ(Masked("", {"ack_deadline", "max_attempts"}),
            "filter { sources: \"mail\" types: \"a\" }");
}

TEST(SettingsMaskTest, OneListOfTheFilterLeavesTheOthers) {
  EXPECT_EQ(Masked("filter { types: 'b' types: 'c' sources: 'x' }", {"filter.types"}),
            "filter { sources: \"mail\" types: \"b\" types: \"c\" } ack_deadline { seconds: 9 } "
            "max_attempts: 7");
  EXPECT_EQ(Masked("filter { types: 'b' }", {"filter"}),
            "filter { types: \"b\" } ack_deadline { seconds: 9 } max_attempts: 7");
}

TEST(SettingsMaskTest, AStarIsAllOfThem) {
  EXPECT_EQ(Masked("max_attempts: 3", {"max_attempts", "*"}), "max_attempts: 3");
}

TEST(SettingsMaskTest, NamedTwiceIsNamedOnce) {
  EXPECT_EQ(Masked("max_attempts: 3", {"max_attempts", "max_attempts"}),
            Masked("max_attempts: 3", {"max_attempts"}));
}

TEST(SettingsMaskTest, APathThatIsNoneIsRefusedByName) {
  for (const std::string& path :
       {std::string(), std::string("max_attempt"), std::string("filter."),
        std::string("filter.types.x"), std::string("ack_deadline.seconds"), std::string("settings"),
        std::string("filter.sources "), std::string(100'000, 'x'), std::string("\xff\n")}) {
    const absl::Status status = CheckSettingsMask(Mask({"max_attempts", path}), "update_mask");
    EXPECT_EQ(FieldOf(status), "update_mask.paths[1]") << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("max_lost_deliveries"));
    EXPECT_LT(status.message().size(), 1000u);
  }
}

TEST(SettingsMaskTest, AMaskHasPathsAndABoundedNumberOfThem) {
  EXPECT_EQ(FieldOf(CheckSettingsMask(Mask({}), "update_mask")), "update_mask");
  EXPECT_TRUE(CheckSettingsMask(Mask(std::vector<std::string>(32, "filter")), "update_mask").ok());
  EXPECT_EQ(FieldOf(CheckSettingsMask(Mask(std::vector<std::string>(33, "filter")), "update_mask")),
            "update_mask");
}

TEST(SettingsMaskTest, KnowsWhetherTheSourcesMayChange) {
  EXPECT_TRUE(MaskHasSources(Mask({"max_attempts", "*"})));
  EXPECT_TRUE(MaskHasSources(Mask({"filter"})));
  EXPECT_TRUE(MaskHasSources(Mask({"filter.sources"})));
  EXPECT_FALSE(MaskHasSources(Mask({"filter.types", "max_attempts"})));
  EXPECT_TRUE(MaskHasFilter(Mask({"filter.types"})));
  EXPECT_TRUE(MaskHasFilter(Mask({"*"})));
  EXPECT_FALSE(MaskHasFilter(Mask({"max_attempts"})));
}

}  // namespace
}  // namespace hookgate
