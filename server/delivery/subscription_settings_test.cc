#include "server/delivery/subscription_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace hookgate {
namespace {

using testing::HasSubstr;

TEST(SubscriptionSettingsTest, NamesAreOfFewCharacters) {
  for (const std::string& name :
       {std::string("a"), std::string("0.billing-retry_2"), std::string(100, 'x')}) {
    EXPECT_TRUE(CheckNewSubscriptionName(name, "name").ok()) << name;
  }
  for (const std::string& name :
       {std::string(), std::string("Billing"), std::string("a b"), std::string("a/b"),
        std::string("\xc3\xab"), std::string("a\0b", 3), std::string(101, 'x')}) {
    EXPECT_THAT(CheckSubscriptionName(name, "name").message(), HasSubstr("name: ")) << name;
    EXPECT_FALSE(CheckNewSubscriptionName(name, "name").ok()) << name;
  }
}

// `hookgate consume -x` took the name for a flag. One of that kind that is there already can still
// be named, so that it can be deleted.
TEST(SubscriptionSettingsTest, NewNamesDoNotLookLikeFlagsAndFolders) {
  for (const char* name : {"-x", "--", ".", "..", "_a"}) {
    EXPECT_TRUE(CheckSubscriptionName(name, "name").ok()) << name;
    EXPECT_THAT(CheckNewSubscriptionName(name, "name").message(),
                HasSubstr("begin it with a letter or a digit"))
        << name;
  }
}

TEST(SubscriptionSettingsTest, NamesOfConsumersArePrintable) {
  EXPECT_TRUE(CheckConsumerName("host-1 (zo\xc3\xab)", "consumer_name").ok());
  for (const std::string& name :
       {std::string(), std::string("a\nb"), std::string("\x1b[31m"), std::string(201, 'x')}) {
    EXPECT_THAT(CheckConsumerName(name, "consumer_name").message(), HasSubstr("consumer_name: "));
  }
}

}  // namespace
}  // namespace hookgate
