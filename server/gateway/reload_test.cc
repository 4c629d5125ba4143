#include "server/gateway/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;
using testing::HasSubstr;

Config Parse(const std::string& text) {
  Config config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config));
  return config;
}

TEST(ReloadTest, SourcesRetentionAndLogLevelMayChange) {
  EXPECT_TRUE(CheckReload(Parse(""), Parse(R"(
      sources { name: "openai" secrets { name: "a" inline: "whsec_MTIz" } }
      storage { retention { seconds: 500000 } max_bytes: 67108864 quarantine { max_entries: 5 } }
      logging { level: "debug" })"))
                  .ok());
}

TEST(ReloadTest, WhatCannotChangeIsNamed) {
  const auto error = [](const std::string& text) {
    return std::string(CheckReload(Parse("http { max_connections: 1 }"), Parse(text)).message());
  };
  EXPECT_EQ(error("http { max_connections: 1 } grpc {}"), "");
  EXPECT_THAT(error("http { max_connections: 2 }"), HasSubstr("http.max_connections: 1 -> 2"));
  EXPECT_THAT(error(""), HasSubstr("http.max_connections"));
  EXPECT_THAT(error("http { max_connections: 1 address: '[::1]:1' }"), HasSubstr("http.address"));
  EXPECT_THAT(error("http { max_connections: 1 } storage { data_dir: 'x' }"),
              HasSubstr("storage.data_dir"));
  EXPECT_THAT(error("http { max_connections: 1 } drain_timeout { seconds: 1 }"),
              HasSubstr("drain_timeout"));
}

TEST(ReloadTest, SecretsAreNotQuoted) {
  const auto status = CheckReload(
      Parse("sources { secrets { inline: 'very secret' } }"),
      Parse("sources { secrets { inline: 'also secret' } } http { max_connections: 1 }"));
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace hookgate
