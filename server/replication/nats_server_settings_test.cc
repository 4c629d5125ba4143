#include "server/replication/nats_server_settings.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace hookgate {
namespace {

std::string Varz(const std::string& config) {
  return absl::StrCat(R"({"server_name": "n1", "version": "2.12.3", "jetstream": {"config": )",
                      config, "}}");
}

TEST(NatsServerSettingsTest, SyncAlwaysIsWhatTheServerSays) {
  const auto always = ParseNatsServerSettings(Varz(R"({"sync_always": true})"));
  ASSERT_TRUE(always.ok()) << always.status();
  EXPECT_TRUE(always->sync_always);
  EXPECT_EQ(always->name, "n1");
  EXPECT_EQ(always->version, "2.12.3");
  // The server leaves out what is false; an interval is not always, however short.
  for (const char* const config : {"{}", R"({"sync_interval": 1})", R"({"sync_always": false})",
                                   R"({"sync_always": "yes"})"}) {
    const auto settings = ParseNatsServerSettings(Varz(config));
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_FALSE(settings->sync_always) << config;
  }
}

TEST(NatsServerSettingsTest, WhatIsNoAnswerOfAServerIsAnError) {
  for (const char* const body : {"", "[]", "{", "<html>", "{}", R"({"jetstream": 1})",
                                 R"({"jetstream": {}})", R"({"jetstream": {"config": []}})"}) {
    EXPECT_FALSE(ParseNatsServerSettings(body).ok()) << body;
  }
}

TEST(NatsServerSettingsTest, UrlNamesAHostAndAPort) {
  for (const char* const url :
       {"http://127.0.0.1:8222", "http://nats-1:8222/", "http://[::1]:8222"}) {
    EXPECT_TRUE(CheckMonitoringUrl(url).ok()) << url;
  }
  for (const char* const url :
       {"", "127.0.0.1:8222", "https://n1:8222", "http://n1", "http://:1", "http://n1:0",
        "http://n1:65536", "http://n1:8222/varz", "http://n1:x", "http://[::1:8222"}) {
    EXPECT_FALSE(CheckMonitoringUrl(url).ok()) << url;
  }
}

}  // namespace
}  // namespace hookgate
