#include "server/delivery/frame_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

BatchFramePtr Frame(Sequence after, size_t bytes = 10) {
  return std::make_shared<const BatchFrame>(
      BatchFrame{.after = after, .through = after + 1, .bytes = std::string(bytes, 'x')});
}

TEST(FrameCacheTest, FramesAreFoundBySelectionAndByWhereTheyBegin) {
  FrameCache cache(1 << 20);
  const BatchFramePtr all = Frame(5);
  const BatchFramePtr some = Frame(5);
  cache.Put("", all);
  cache.Put("some", some);
  EXPECT_EQ(cache.Find("", 5), all);
  EXPECT_EQ(cache.Find("some", 5), some);
  EXPECT_EQ(cache.Find("", 6), nullptr);
  EXPECT_EQ(cache.Find("other", 5), nullptr);
}

TEST(FrameCacheTest, LaterFrameReplacesTheOneThatBeganThere) {
  FrameCache cache(1 << 20);
  cache.Put("", Frame(5, 1000));
  const int64_t bytes = cache.bytes();
  const BatchFramePtr later = Frame(5, 1000);
  cache.Put("", later);
  EXPECT_EQ(cache.Find("", 5), later);
  EXPECT_EQ(cache.bytes(), bytes);
}

TEST(FrameCacheTest, WhatWasAskedForLongestAgoMakesRoom) {
  FrameCache cache(4000);
  for (const Sequence after : {1, 2, 3}) cache.Put("", Frame(after, 1000));
  EXPECT_NE(cache.Find("", 1), nullptr);
  cache.Put("", Frame(4, 1000));
  EXPECT_NE(cache.Find("", 1), nullptr);
  EXPECT_EQ(cache.Find("", 2), nullptr);
  EXPECT_LE(cache.bytes(), 4000);
}

TEST(FrameCacheTest, FrameLargerThanTheCacheIsNotKept) {
  FrameCache cache(1000);
  const BatchFramePtr large = Frame(1, 2000);
  cache.Put("", large);
  EXPECT_EQ(cache.Find("", 1), nullptr);
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_EQ(large.use_count(), 1);
}

}  // namespace
}  // namespace hookgate
