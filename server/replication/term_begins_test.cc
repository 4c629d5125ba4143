#include "server/replication/term_begins.h"

#include <gtest/gtest.h>

namespace hookgate {
namespace {

TEST(TermBeginsTest, WhoHasTheSameLogIsNeverContradicted) {
  TermBegins begins;
  begins.Note(3, 10);
  begins.Note(4, 20);
  begins.Note(7, 30);
  for (const auto& [index, term] :
       {std::pair(5, 2), {9, 2}, {10, 3}, {19, 3}, {20, 4}, {29, 4}, {30, 7}, {500, 7}, {600, 8}}) {
    EXPECT_FALSE(begins.Contradict({"a", index, term})) << index << " of term " << term;
  }
}

TEST(TermBeginsTest, WhoHasARecordWhereALaterTermBeganIsContradicted) {
  TermBegins begins;
  begins.Note(3, 10);
  begins.Note(4, 20);
  begins.Note(7, 30);
  // The last of a term that the log has lost: the next one begins in its place.
  EXPECT_TRUE(begins.Contradict({"a", 10, 2}));
  EXPECT_TRUE(begins.Contradict({"a", 20, 3}));
  EXPECT_TRUE(begins.Contradict({"a", 21, 3}));
  EXPECT_TRUE(begins.Contradict({"a", 30, 4}));
  EXPECT_TRUE(begins.Contradict({"a", 30, 6}));
}

TEST(TermBeginsTest, WhoSaysNothingIsNotContradicted) {
  TermBegins begins;
  EXPECT_FALSE(begins.Contradict({"a", 10, 2}));
  begins.Note(3, 10);
  EXPECT_FALSE(begins.Contradict({"a", 0, 0}));
  EXPECT_FALSE(begins.Contradict({"a", 50, 0}));
}

TEST(TermBeginsTest, TheNewestAreKept) {
  TermBegins begins;
  for (int64_t term = 1; term <= 3 * int64_t{TermBegins::kMost}; ++term)
    begins.Note(term, 10 * term);
  EXPECT_TRUE(begins.Contradict({"a", 30'000, 2'999}));
  EXPECT_FALSE(begins.Contradict({"a", 29'999, 2'999}));
  // Of what is forgotten, what is known still tells something.
  EXPECT_TRUE(begins.Contradict({"a", 25'000, 5}));
}

}  // namespace
}  // namespace hookgate
