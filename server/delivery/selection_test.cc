#include "server/delivery/selection.h"

#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

EventFilter OfSubject(const std::string& subject) {
  hookgate::v1::EventFilter filter;
  filter.add_subjects(subject);
  return *EventFilter::Create(filter);
}

TEST(SelectionPoolTest, WhoAsksForTheSameHoldsTheSame) {
  SelectionPool pool;
  const SelectionPtr first = pool.Share(OfSubject("batch_1"), false);
  EXPECT_EQ(pool.Share(OfSubject("batch_1"), false), first);
  EXPECT_NE(pool.Share(OfSubject("batch_1"), true), first);
  EXPECT_NE(pool.Share(OfSubject("batch_2"), false), first);
}

TEST(SelectionPoolTest, WhatNobodyHoldsIsForgotten) {
  SelectionPool pool;
  std::vector<SelectionPtr> held;
  for (int i = 0; i < 10'000; ++i) {
    SelectionPtr selection = pool.Share(OfSubject(absl::StrCat("batch_", i)), false);
    if (i % 100 == 0) held.push_back(std::move(selection));
  }
  EXPECT_LE(pool.size(), 2 * held.size());
  EXPECT_EQ(pool.Share(OfSubject("batch_100"), false), held[1]);
}

}  // namespace
}  // namespace hookgate
