#include "server/replication/schema_agreement.h"

#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "absl/types/optional.h"

namespace hookgate {
namespace {

constexpr absl::Duration kStart = absl::Seconds(100);

TEST(SchemaAgreementTest, NobodyIsAskedWhereThereAreNoPeers) {
  const SchemaAgreement agreement(6, {});
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), 6);
  EXPECT_EQ(agreement.MayAgreeOn(6, kStart), absl::nullopt);
  EXPECT_EQ(agreement.WhatIsMissing(6, kStart), "");
}

TEST(SchemaAgreementTest, EachPeerHasToSayThatItReadsTheVersion) {
  SchemaAgreement agreement(6, {"b", "c"});
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), absl::nullopt);
  EXPECT_EQ(agreement.WhatIsMissing(6, kStart),
            "replica b has not been heard of, replica c has not been heard of");
  EXPECT_EQ(agreement.Reads("b"), 0);
  agreement.Heard("b", 6, kStart);
  agreement.Heard("c", 0, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), absl::nullopt);
  EXPECT_EQ(agreement.WhatIsMissing(6, kStart), "replica c reads schema 5");
  EXPECT_EQ(agreement.Reads("c"), SchemaAgreement::kUnsaid);
  agreement.Heard("c", 6, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), 6);
  EXPECT_EQ(agreement.WhatIsMissing(6, kStart), "");
}

// One that is put back to an older version says nothing for a while, and then another one.
TEST(SchemaAgreementTest, WhatWasSaidIsTrueForAMoment) {
  SchemaAgreement agreement(6, {"b"});
  agreement.Heard("b", 6, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart + SchemaAgreement::kFresh), 6);
  const absl::Duration later = kStart + SchemaAgreement::kFresh + absl::Milliseconds(1);
  EXPECT_EQ(agreement.MayAgreeOn(5, later), absl::nullopt);
  EXPECT_EQ(agreement.WhatIsMissing(6, later), "replica b has not been heard of for a moment");
  agreement.Heard("b", 5, later);
  EXPECT_EQ(agreement.MayAgreeOn(5, later), absl::nullopt);
}

// Of three versions the cluster agrees on the oldest; and never on less than it has.
TEST(SchemaAgreementTest, TheOldestDecidesAndTheAgreementGrows) {
  SchemaAgreement agreement(8, {"b", "c"});
  agreement.Heard("b", 7, kStart);
  agreement.Heard("c", 9, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), 7);
  EXPECT_EQ(agreement.MayAgreeOn(7, kStart), absl::nullopt);
  agreement.Heard("b", 6, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(7, kStart), absl::nullopt);
}

TEST(SchemaAgreementTest, OneThatIsNotConfiguredDecidesNothing) {
  SchemaAgreement agreement(6, {"b"});
  agreement.Heard("b", 6, kStart);
  agreement.Heard("x", 5, kStart);
  EXPECT_EQ(agreement.MayAgreeOn(5, kStart), 6);
}

}  // namespace
}  // namespace hookgate
