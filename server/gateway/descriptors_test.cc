#include "server/gateway/descriptors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(DescriptorsTest, DefaultsFitIntoAUsualHardLimit) {
  Options options;
  Problems problems;
  FitDescriptors(524288, options, problems);
  EXPECT_TRUE(problems.ok());
  EXPECT_THAT(problems.warnings(), IsEmpty());
  EXPECT_EQ(options.http.max_connections, HttpServerOptions().max_connections);
}

// Under `ulimit -n 1024` 1,024 connections to the webhook port left none for gRPC, for ever.
TEST(DescriptorsTest, WebhooksLeaveRoomForTheOthers) {
  for (const int64_t limit : {512, 1024, 2048, 4096}) {
    Options options;
    options.http.max_connections = 1'000'000;
    Problems problems;
    FitDescriptors(limit, options, problems);
    ASSERT_TRUE(problems.ok()) << limit << problems.errors().front();
    EXPECT_LE(options.http.max_connections + options.admin.max_connections +
                  kDescriptorsOfRefusals + kDescriptorsOfProcess + limit / 4,
              limit);
    EXPECT_GE(options.http.max_connections, 16);
    EXPECT_THAT(problems.warnings(),
                Contains(AllOf(StartsWith("http.max_connections: is 1000000"),
                               HasSubstr(absl::StrCat(limit)), HasSubstr("lowered to"))));
  }
}

TEST(DescriptorsTest, WarningsHaveTheNumbers) {
  Options options;
  options.http.max_connections = 1024;
  Problems problems;
  FitDescriptors(1024, options, problems);
  EXPECT_EQ(options.http.max_connections, 480);
  EXPECT_EQ(options.rpc.transport.max_connections, 256);
  EXPECT_EQ(options.rpc.max_streams, RpcServerOptions().max_streams);
  EXPECT_THAT(problems.warnings(),
              ElementsAre(AllOf(HasSubstr("is 1024"), HasSubstr("lowered to 480")),
                          AllOf(StartsWith("grpc.limits.max_connections: is 12000"),
                                HasSubstr("lowered to 256"))));
}

TEST(DescriptorsTest, WhatFitsIsNotLowered) {
  Options options;
  options.http.max_connections = 100;
  options.rpc.transport.max_connections = 100;
  Problems problems;
  FitDescriptors(1024, options, problems);
  EXPECT_EQ(options.http.max_connections, 100);
  EXPECT_EQ(options.rpc.transport.max_connections, 100);
  EXPECT_THAT(problems.warnings(), IsEmpty());
}

TEST(DescriptorsTest, TooFewAreAnError) {
  Options options;
  Problems problems;
  FitDescriptors(256, options, problems);
  EXPECT_THAT(problems.errors(), ElementsAre(AllOf(StartsWith("ulimit -n: "), HasSubstr("only 256"),
                                                   HasSubstr("at least 351"))));
  Options enough;
  Problems none;
  FitDescriptors(351, enough, none);
  EXPECT_TRUE(none.ok());
}

TEST(DescriptorsTest, LimitIsRaisedToTheHardOne) {
  rlimit files = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 300);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(RaiseDescriptorLimit(), static_cast<int64_t>(files.rlim_max));
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(files.rlim_cur, files.rlim_max);
}

}  // namespace
}  // namespace hookgate
