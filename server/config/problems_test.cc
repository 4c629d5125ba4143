#include "server/config/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(ProblemsTest, ErrorsAndWarningsAreKeptApartInOrder) {
  Problems problems;
  problems.AddWarning("a", "odd");
  EXPECT_TRUE(problems.ok());
  problems.AddError("b", "wrong");
  problems.AddError(InvalidField("c", "missing"));
  problems.AddError(absl::OkStatus());
  EXPECT_FALSE(problems.ok());
  EXPECT_THAT(problems.errors(), ElementsAre("b: wrong", "c: missing"));
  EXPECT_THAT(problems.warnings(), ElementsAre("a: odd"));
}

TEST(ProblemsTest, SameProblemIsToldOnce) {
  Problems problems;
  problems.AddError("a", "wrong");
  problems.AddError("a", "wrong");
  EXPECT_EQ(problems.errors().size(), 1u);
}

// What stands in a config goes to a terminal, to the log and over gRPC.
TEST(ProblemsTest, ValuesDoNoHarmAndHaveABound) {
  Problems problems;
  problems.AddError("a", "\x1b[2J\xff");
  problems.AddError("b", absl::StrCat("\"", std::string(4 << 20, 'x'), "\" is not valid"));
  EXPECT_EQ(problems.errors()[0], "a: \\x1b[2J\\xff");
  EXPECT_LT(problems.errors()[1].size(), 1100u);
  EXPECT_THAT(problems.errors()[1], testing::EndsWith("is not valid"));
}

TEST(ProblemsTest, ThereIsAMost) {
  Problems problems;
  for (int i = 0; i < 1000; ++i) problems.AddError(absl::StrCat("key", i), "wrong");
  EXPECT_EQ(problems.errors().size(), Problems::kMost + 1);
  EXPECT_THAT(problems.errors().back(), HasSubstr("more problems"));
  EXPECT_THAT(problems.errors().front(), StartsWith("key0: "));
}

// A secret in allowed_networks was quoted by the error that it is no network.
TEST(ProblemsTest, WhatMayBeASecretIsNotQuoted) {
  for (const std::string word : {"whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0", "whsec_abcd",
                                 "whsk_MTIzNDU2", "whpk_a/b+c==", "sk-proj-Abcdefghijk1234567",
                                 "a1B2c3D4e5F6g7H8i9J0", "/etc/a1B2c3D4e5F6g7H8i9J0/key"}) {
    Problems problems;
    problems.AddError("key", absl::StrCat("\"", word, "\" is not a network"));
    problems.AddWarning("key", absl::StrCat(word, ":443 is odd"));
    EXPECT_THAT(
        problems.errors(),
        testing::ElementsAre("key: \"(not shown, because it may be a secret)\" is not a network"));
    EXPECT_THAT(problems.warnings(),
                testing::ElementsAre("key: (not shown, because it may be a secret):443 is odd"));
  }
  for (const std::string word :
       {"whsec_", "a secret begins with whsec_ or whpk_", "/var/lib/hookgate-data/2026/events.db",
        "HOOKGATE_OPENAI_SECRET_2", "sources[0].secrets[1].environment", "2001:db8::/32",
        "hookgate.config.v1.Http", "0123456789abcdef0123456789abcdef"}) {
    Problems problems;
    problems.AddError("key", word);
    EXPECT_THAT(problems.errors(), testing::ElementsAre(absl::StrCat("key: ", word)));
  }
}

}  // namespace
}  // namespace hookgate
