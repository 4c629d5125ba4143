#include "client/connection_security.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace hookgate {
namespace {

using testing::HasSubstr;

std::string ErrorOf(const std::string& target, const ConnectionSecurity& security) {
  return std::string(CheckSecurity(target, security).message());
}

TEST(ConnectionSecurityTest, TokenGoesOverTlsOrToLoopbackOnly) {
  for (const char* target : {"127.0.0.1:50051", "127.1.2.3:1", "localhost:50051", "[::1]:50051",
                             "dns:///127.0.0.1:1", "unix:/run/hookgate.sock"}) {
    EXPECT_EQ(ErrorOf(target, {.token = "t"}), "") << target;
  }
  for (const char* target : {"gateway:50051", "10.0.0.1:50051", "127.example.com:50051",
                             "localhost.example.com:50051", "0.0.0.0:50051"}) {
    EXPECT_THAT(ErrorOf(target, {.token = "secret"}), HasSubstr(target));
    EXPECT_THAT(ErrorOf(target, {.token = "secret"}), Not(HasSubstr("secret")));
    EXPECT_EQ(ErrorOf(target, {.tls = true, .token = "secret"}), "") << target;
  }
}

TEST(ConnectionSecurityTest, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_THAT(ErrorOf("a:1", {.tls = true, .certificate = "c"}), HasSubstr("needs its key"));
  EXPECT_THAT(ErrorOf("a:1", {.tls = true, .key = "k"}), HasSubstr("a key its certificate"));
  EXPECT_THAT(ErrorOf("a:1", {.ca = "ca"}), HasSubstr("TLS"));
  EXPECT_THAT(ErrorOf("127.0.0.1:1", {.token = "to ken"}), HasSubstr("spaces"));
  EXPECT_THAT(ErrorOf("127.0.0.1:1", {.token = "token\n"}), HasSubstr("spaces"));
}

TEST(ConnectionSecurityTest, ATokenFileCountsAsATokenAndMustHoldOne) {
  const std::string path = testing::TempDir() + "/token";
  std::ofstream(path) << "secret\n";
  EXPECT_EQ(ErrorOf("127.0.0.1:50051", {.token_file = path}), "");
  EXPECT_EQ(ErrorOf("gateway:50051", {.tls = true, .token_file = path}), "");
  EXPECT_THAT(ErrorOf("gateway:50051", {.token_file = path}), HasSubstr("in the clear"));
  std::ofstream(path) << "to ken";
  EXPECT_THAT(ErrorOf("127.0.0.1:50051", {.token_file = path}), HasSubstr(path));
  EXPECT_THAT(ErrorOf("127.0.0.1:50051", {.token_file = path + ".not"}), HasSubstr("be read"));
  // A pipe, which can be read once, comes with what was read.
  EXPECT_EQ(ErrorOf("127.0.0.1:50051", {.token = "t", .token_file = path}), "");
}

}  // namespace
}  // namespace hookgate
