#include "server/grpc_server/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(MetadataTest, KeepsEveryValueInOrder) {
  Metadata metadata;
  EXPECT_TRUE(metadata.AddFromWire("authorization", "Bearer a"));
  EXPECT_TRUE(metadata.AddFromWire("user-agent", "test"));
  EXPECT_TRUE(metadata.AddFromWire("authorization", "Bearer b"));
  EXPECT_THAT(metadata.All("authorization"), ElementsAre("Bearer a", "Bearer b"));
  EXPECT_EQ(metadata.First("authorization"), absl::string_view("Bearer a"));
  EXPECT_THAT(metadata.All("absent"), IsEmpty());
  EXPECT_EQ(metadata.First("absent"), absl::nullopt);
}

TEST(MetadataTest, BinaryValuesAreDecodedWithPaddingAndWithout) {
  Metadata metadata;
  EXPECT_TRUE(metadata.AddFromWire("x-bin", "AP8="));
  EXPECT_TRUE(metadata.AddFromWire("x-bin", "AP8"));
  EXPECT_TRUE(metadata.AddFromWire("x-bin", ""));
  EXPECT_THAT(metadata.All("x-bin"),
              ElementsAre(absl::string_view("\0\xff", 2), absl::string_view("\0\xff", 2), ""));
}

TEST(MetadataTest, SeveralBinaryValuesMayStandInOneField) {
  Metadata metadata;
  EXPECT_TRUE(metadata.AddFromWire("x-bin", "YQ==,Yg"));
  EXPECT_THAT(metadata.All("x-bin"), ElementsAre("a", "b"));
}

TEST(MetadataTest, BinaryValuesGoOutWithoutPadding) {
  EXPECT_EQ(MetadataToWire("x", "a=b"), "a=b");
  EXPECT_EQ(MetadataToWire("x-bin", absl::string_view("\0\xff", 2)), "AP8");
  EXPECT_EQ(MetadataToWire("x-bin", ""), "");
}

TEST(MetadataTest, WhatIsNoBase64ChangesNothing) {
  Metadata metadata;
  EXPECT_FALSE(metadata.AddFromWire("x-bin", "YQ==,*"));
  EXPECT_THAT(metadata.entries(), IsEmpty());
}

}  // namespace
}  // namespace hookgate
