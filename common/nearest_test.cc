#include "common/nearest.h"

#include "gtest/gtest.h"

namespace hookgate {
namespace {

const std::vector<std::string> kCommands = {"subscribe", "failures", "events", "get", "send"};

TEST(NearestTest, FindsWhatASlipOfTheFingersMeant) {
  EXPECT_EQ(Nearest("subscrbe", kCommands), "subscribe");  // One left out.
  EXPECT_EQ(Nearest("failuress", kCommands), "failures");  // One too many.
  EXPECT_EQ(Nearest("evemts", kCommands), "events");       // One replaced.
  EXPECT_EQ(Nearest("gte", kCommands), "get");             // Two swapped.
}

TEST(NearestTest, FindsWhatAWordIsTheBeginningOf) {
  EXPECT_EQ(Nearest("sub", kCommands), "subscribe");
  EXPECT_EQ(Nearest("fail", kCommands), "failures");
}

TEST(NearestTest, IsSilentWhenNothingIsNear) {
  EXPECT_EQ(Nearest("consume", kCommands), "");
  EXPECT_EQ(Nearest("", kCommands), "");
  EXPECT_EQ(Nearest("xy", kCommands), "");
  EXPECT_EQ(Nearest(std::string(10'000, 'a'), kCommands), "");
  EXPECT_EQ(Nearest("get", {}), "");
}

TEST(NearestTest, AsksInAFewWords) {
  EXPECT_EQ(DidYouMean("sned", kCommands), ", did you mean send?");
  EXPECT_EQ(DidYouMean("form", {"from"}, "--"), ", did you mean --from?");
  EXPECT_EQ(DidYouMean("consume", kCommands), "");
}

}  // namespace
}  // namespace hookgate
