#include "server/status/ingest_counters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/reason.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(IngestCountersTest, RefusalsAreCountedByTheirReason) {
  IngestCounters counters;
  EXPECT_EQ(counters.refused(), 0);
  EXPECT_THAT(counters.RefusedByReason(), IsEmpty());
  counters.CountRefused(reason::kDraining);
  for (int i = 0; i < 3; ++i) counters.CountRefused(reason::kSignatureMismatch);
  counters.CountRefused("");
  counters.CountRefused("what nobody knows");
  EXPECT_EQ(counters.refused(), 6);
  EXPECT_THAT(counters.RefusedByReason(),
              ElementsAre(Pair("signature_mismatch", 3), Pair("other", 2), Pair("draining", 1)));
}

TEST(IngestCountersTest, RowsBringBackWhatTheyWereMadeOf) {
  IngestCounters counters;
  EXPECT_THAT(counters.ToRows(), IsEmpty());
  counters.stored = 5;
  counters.removed_from_quarantine = 2;
  counters.CountRefused(reason::kNotFound);
  EXPECT_THAT(counters.ToRows(),
              UnorderedElementsAre(Pair("stored", 5), Pair("removed_from_quarantine", 2),
                                   Pair("refused/not_found", 1)));
  IngestCounters again;
  again.AddRows(counters.ToRows());
  again.AddRows({{"of a later version", 7}});
  EXPECT_EQ(again.ToRows(), counters.ToRows());
  ++again.stored;
  EXPECT_EQ(again.ToRows().at("stored"), 6);
}

}  // namespace
}  // namespace hookgate
