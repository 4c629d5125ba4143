#include "server/config/options.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "server/base/status.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// "secret" would be in too many messages by itself.
constexpr char kKeyBase64[] = "cHJpdmF0ZS1rZXktcHJpdmF0ZS1rZXkt";
constexpr char kKey[] = "private-key-private-key-";
constexpr char kSecret[] = "whsec_cHJpdmF0ZS1rZXktcHJpdmF0ZS1rZXkt";

std::string WriteFile(absl::string_view content) {
  static int files = 0;
  std::string path = absl::StrCat(testing::TempDir(), "/options_", getpid(), "_", ++files);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

class OptionsTest : public testing::Test {
 protected:
  Options Resolve(const std::string& text, Problems& problems) {
    Config config;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
    return Resolve(config, problems);
  }
  Options Resolve(const Config& config, Problems& problems) {
    Options options = ResolveOptions(
        config,
        [this](const std::string& name) {
          const auto found = environment_.find(name);
          return found == environment_.end() ? absl::nullopt : absl::make_optional(found->second);
        },
        problems);
    for (const auto& all : {problems.errors(), problems.warnings()}) {
      for (const std::string& problem : all) {
        EXPECT_THAT(problem, Not(HasSubstr(kKeyBase64)));
        EXPECT_THAT(problem, Not(HasSubstr(kKey)));
      }
    }
    return options;
  }
  Options Right(const std::string& text) {
    Problems problems;
    Options options = Resolve(text, problems);
    EXPECT_THAT(problems.errors(), IsEmpty()) << text;
    return options;
  }
  std::vector<std::string> ErrorsOf(const std::string& text) {
    Problems problems;
    Resolve(text, problems);
    return problems.errors();
  }
  std::vector<std::string> WarningsOf(const std::string& text) {
    Problems problems;
    Resolve(text, problems);
    EXPECT_THAT(problems.errors(), IsEmpty()) << text;
    return problems.warnings();
  }
  // The one error that `text` must give for `key`, which says something of what is right.
  std::string ErrorOf(const std::string& text, const std::string& key) {
    for (const std::string& error : ErrorsOf(text)) {
      if (absl::StartsWith(error, key + ": ")) return error;
    }
    ADD_FAILURE() << text << " gives no error for " << key;
    return "";
  }
  // The error of the source "s" with `secret` as its secret's text fields.
  std::string SecretError(const std::string& secret, const std::string& key) {
    return ErrorOf(absl::StrCat(R"(sources { name: "s" secrets { )", secret, " } }"), key);
  }

  std::map<std::string, std::string> environment_ = {{"OPENAI_WEBHOOK_SECRET", kSecret}};
};

// --- What is right ----------------------------------------------------------------------------

// As config.proto says them.
TEST_F(OptionsTest, EmptyConfigHasItsDefaults) {
  const Options options = Right("");
  EXPECT_EQ(options.http.address, "127.0.0.1:8080");
  EXPECT_EQ(options.http.max_body_bytes, 1 << 20);
  EXPECT_EQ(options.http.max_connections, 1024);
  EXPECT_EQ(options.http.header_timeout, absl::Seconds(10));
  EXPECT_EQ(options.http.body_timeout, absl::Seconds(30));
  EXPECT_EQ(options.http.idle_timeout, absl::Seconds(75));
  EXPECT_EQ(options.http.max_unverified_bytes, 64 << 20);
  EXPECT_EQ(options.http.max_handshakes_per_second, 1000);
  EXPECT_EQ(options.rpc.transport.address, "127.0.0.1:50051");
  EXPECT_EQ(options.rpc.max_streams, 10'000u);
  EXPECT_EQ(options.admin.address, "127.0.0.1:9090");
  EXPECT_EQ(options.log.data_dir, "./hookgate-data");
  EXPECT_EQ(options.retention.max_event_age, absl::Hours(30 * 24));
  EXPECT_EQ(options.retention.max_history_age, absl::Hours(14 * 24));
  EXPECT_EQ(options.retention.max_history_rows, 1'000'000);
  EXPECT_EQ(options.log.limits.max_queued, 8192);
  EXPECT_EQ(options.log.limits.max_queued_bytes, 64 << 20);
  EXPECT_EQ(options.drain_timeout, absl::Seconds(20));
  EXPECT_EQ(options.logging.least_severity, Severity::kInfo);
  ASSERT_EQ(options.sources.size(), 1u);
  EXPECT_EQ(options.sources[0].name, "openai");
  EXPECT_EQ(options.sources[0].timestamp_tolerance, absl::Seconds(300));
  EXPECT_EQ(options.sources[0].rate_limit, absl::nullopt);
  ASSERT_EQ(options.sources[0].secrets.size(), 1u);
  EXPECT_EQ(options.sources[0].secrets[0].key(), kKey);
}

TEST_F(OptionsTest, EveryValueIsTaken) {
  const std::string file = WriteFile(absl::StrCat("\n  ", kSecret, "\r\n"));
  environment_ = {{"NEXT", "raw text of twenty-four bytes "}};
  const Options options = Right(absl::StrCat(R"(
      http {
        address: "0.0.0.0:80" max_body_bytes: 2000000 max_connections: 7
        header_timeout { seconds: 1 } body_timeout { seconds: 2 } idle_timeout { nanos: 3000000 }
        max_connections_per_address: 3 max_unverified_bytes: 2000000
        max_handshakes_per_second: 4 max_handshakes_per_second_per_address: 5
      }
      grpc { address: "[::1]:0" max_streams: 8 }
      admin { address: "localhost:65535" }
      storage {
        data_dir: "/data" retention { seconds: 345600 }
        max_queued_webhooks: 9 max_queued_bytes: 8000000
        history { max_age { seconds: 7200 } max_rows: 5000 }
      }
      logging { format: "json" level: "error" }
      drain_timeout { seconds: 5 }
      sources {
        name: "a-b_9"
        secrets { name: "file" file: ")",
                                             file, R"(" }
        secrets { name: "environment" environment: "NEXT" raw: true }
        secrets { name: "inline" inline: "whsec_YWJjZGVmZ2g=" }
        timestamp_tolerance { seconds: 60 }
        rate_limit { webhooks_per_second: 2.5 burst: 10 }
      }
      sources { name: "second" secrets { name: "file" inline: "whsec_YWJjZGVmZ2g=" } }
      )"));
  EXPECT_EQ(options.http.address, "0.0.0.0:80");
  EXPECT_EQ(options.http.max_body_bytes, 2'000'000);
  EXPECT_EQ(options.http.max_connections, 7);
  EXPECT_EQ(options.http.max_connections_per_address, 3);
  EXPECT_EQ(options.http.max_handshakes_per_second, 4);
  EXPECT_EQ(options.http.max_handshakes_per_second_per_address, 5);
  EXPECT_EQ(options.http.max_unverified_bytes, 2'000'000);
  EXPECT_EQ(options.http.header_timeout, absl::Seconds(1));
  EXPECT_EQ(options.http.body_timeout, absl::Seconds(2));
  EXPECT_EQ(options.http.idle_timeout, absl::Milliseconds(3));
  EXPECT_EQ(options.rpc.transport.address, "[::1]:0");
  EXPECT_EQ(options.rpc.max_streams, 8u);
  EXPECT_EQ(options.admin.address, "localhost:65535");
  EXPECT_EQ(options.log.data_dir, "/data");
  EXPECT_EQ(options.retention.max_event_age, absl::Hours(96));
  EXPECT_EQ(options.retention.max_history_age, absl::Hours(2));
  EXPECT_EQ(options.retention.max_history_rows, 5000);
  EXPECT_EQ(options.log.limits.max_queued, 9);
  EXPECT_EQ(options.log.limits.max_queued_bytes, 8'000'000);
  EXPECT_EQ(options.logging.format, LogFormat::kJson);
  EXPECT_EQ(options.logging.least_severity, Severity::kError);
  EXPECT_EQ(options.drain_timeout, absl::Seconds(5));
  ASSERT_EQ(options.sources.size(), 2u);
  const WebhookSource& source = options.sources[0];
  ASSERT_EQ(source.secrets.size(), 3u);
  EXPECT_EQ(source.secrets[0].key(), kKey);
  EXPECT_EQ(source.secrets[1].key(), "raw text of twenty-four bytes");
  EXPECT_EQ(source.secrets[1].name(), "environment");
  EXPECT_EQ(source.secrets[2].key(), "abcdefgh");
  EXPECT_EQ(source.timestamp_tolerance, absl::Seconds(60));
  EXPECT_EQ(source.rate_limit->per_second, 2.5);
  EXPECT_EQ(source.rate_limit->burst, 10);
}

TEST_F(OptionsTest, ConfiguredSourcesDoNotNeedTheDefaultSecret) {
  environment_.clear();
  EXPECT_EQ(Right(R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" } })")
                .sources.size(),
            1u);
}

TEST_F(OptionsTest, BurstIsOneSecondsWorthAtLeastOne) {
  const auto burst_at = [this](absl::string_view rate) {
    return Right(absl::StrCat(
                     R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" }
                                 rate_limit { webhooks_per_second: )",
                     rate, " } }"))
        .sources.at(0)
        .rate_limit->burst;
  };
  EXPECT_EQ(burst_at("50"), 50);
  EXPECT_EQ(burst_at("0.1"), 1);
}

// --- Addresses --------------------------------------------------------------------------------

TEST_F(OptionsTest, AddressWithoutProperHostOrPortIsNamed) {
  for (const char* address :
       {"127.0.0.1", "localhost", ":8080", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536",
        "127.0.0.1:-1", "127.0.0.1:+80", "127.0.0.1: 80", "::1:8080", "[::1]", "[::1:8080",
        "::1]:8080", "[]:8080", "8080", "http://localhost:8080"}) {
    for (const char* section : {"http", "grpc", "admin"}) {
      const std::string key = absl::StrCat(section, ".address");
      const std::string error =
          ErrorOf(absl::StrCat(section, " { address: \"", address, "\" }"), key);
      EXPECT_THAT(error, HasSubstr(absl::StrCat("\"", address, "\"")));
      EXPECT_THAT(error, HasSubstr("use for example 127.0.0.1:"));
    }
  }
}

// 127.example.com once passed for loopback, by its look.
TEST_F(OptionsTest, GrpcThatOtherMachinesReachNeedsPermission) {
  for (const char* address :
       {"0.0.0.0:1", "[::]:1", "192.168.0.1:1", "example.com:1", "128.0.0.1:1", "127.example.com:1",
        "127.0.0.1.example.com:1", "localhost.com:1"}) {
    const std::string config = absl::StrCat("address: \"", address, "\"");
    EXPECT_THAT(ErrorOf(absl::StrCat("grpc { ", config, " }"), "grpc.address"),
                HasSubstr("allow_insecure"));
    EXPECT_EQ(
        Right(absl::StrCat("grpc { ", config, " allow_insecure: true }")).rpc.transport.address,
        address);
  }
  for (const char* address : {"127.0.0.1:1", "127.8.9.10:1", "localhost:1", "[::1]:1"}) {
    Right(absl::StrCat("grpc { address: \"", address, "\" }"));
  }
}

// The check said that all was right, and the start found the address in use, by hookgated itself.
TEST_F(OptionsTest, PortIsOfOneListener) {
  const auto config = [](const std::string& http, const std::string& grpc,
                         const std::string& admin) {
    return absl::StrCat("http { address: \"", http, "\" } grpc { allow_insecure: true address: \"",
                        grpc, "\" } admin { address: \"", admin, "\" }");
  };
  EXPECT_THAT(ErrorOf(config("127.0.0.1:81", "127.0.0.1:81", "127.0.0.1:82"), "grpc.address"),
              AllOf(HasSubstr("http.address"), HasSubstr("127.0.0.1:81")));
  EXPECT_EQ(ErrorsOf(config("127.0.0.1:81", "127.0.0.1:81", "127.0.0.1:81")).size(), 3u);
  ErrorOf("http { address: \"127.0.0.1:9090\" }", "admin.address");
  ErrorOf(config("0.0.0.0:81", "127.0.0.1:82", "127.0.0.1:81"), "admin.address");
  ErrorOf(config("127.0.0.1:81", "127.0.0.1:82", "[::]:81"), "admin.address");
  ErrorOf(config("localhost:81", "127.0.0.1:82", "127.0.0.1:081"), "admin.address");
  ErrorOf(config("[::1]:81", "[0:0::1]:81", "[::1]:82"), "grpc.address");
  Right(config("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:00"));
  Right(config("127.0.0.1:81", "127.0.0.2:81", "[::1]:81"));
  Right(config("0.0.0.0:81", "127.0.0.2:82", "[::1]:81"));
}

constexpr char kDigest[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

TEST_F(OptionsTest, PrincipalsAreCheckedAndNoTokenIsEverRepeated) {
  const auto principal = [](const std::string& text) {
    return absl::StrCat("principals { name: \"a\" ", text, " } ");
  };
  const std::string token = absl::StrCat("token_sha256: \"", kDigest, "\" ");
  const Options right = Right(principal(token + "rights { consume: \"mail.*\" }"));
  ASSERT_EQ(right.grpc_security.principals.size(), 1u);
  EXPECT_TRUE(right.grpc_security.principals[0].consume.Contains("mail.daily"));
  EXPECT_FALSE(right.grpc_security.principals[0].admin);
  ErrorOf(principal(""), "principals[0]");
  // A token in the place of its digest.
  EXPECT_THAT(ErrorOf(principal(absl::StrCat("token_sha256: \"", kKey, "\"")),
                      "principals[0].token_sha256[0]"),
              HasSubstr("sha256sum"));
  ErrorOf(principal("token_sha256: \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8"
                    "55\""),
          "principals[0].token_sha256[0]");
  EXPECT_THAT(ErrorOf(principal("certificate_names: \"x\""), "principals[0].certificate_names"),
              HasSubstr("grpc.tls.client_ca_file"));
  ErrorOf(principal(token + "rights { query: \"open*\" }"), "principals[0].rights.query[0]");
  ErrorOf(principal(token) + principal(token), "principals[1].name");
  ErrorOf(absl::StrCat(principal(token), "principals { name: \"b\" ", token, "}"),
          "principals[1].token_sha256");
}

TEST_F(OptionsTest, TlsNeedsItsFiles) {
  ErrorOf("grpc { tls { } }", "grpc.tls.certificate_file");
  ErrorOf("grpc { tls { certificate_file: \"/no/cert\" } }", "grpc.tls.key_file");
  EXPECT_THAT(
      ErrorOf("grpc { tls { certificate_file: \"/no/cert\" key_file: \"/no/key\" } }", "grpc.tls"),
      HasSubstr("/no/cert cannot be read"));
}

// --- Numbers and durations --------------------------------------------------------------------

TEST_F(OptionsTest, NumberOutOfRangeIsNamedWithItsRange) {
  const struct {
    const char* section;
    const char* key;
    const char* too_large;
  } cases[] = {
      {"http", "max_body_bytes", "67108865"},
      {"http", "max_connections", "1000001"},
      {"http", "max_connections_per_address", "1000001"},
      {"http", "max_unverified_bytes", "-2"},
      {"http", "max_handshakes_per_second", "1000001"},
      {"http", "max_handshakes_per_second_per_address", "1000001"},
      {"grpc", "max_streams", "1000001"},
      {"storage", "max_queued_webhooks", "1000001"},
      {"storage", "max_queued_bytes", "-2"},
  };
  for (const auto& c : cases) {
    for (const char* value : {"-1", c.too_large}) {
      EXPECT_THAT(ErrorOf(absl::StrCat(c.section, " { ", c.key, ": ", value, " }"),
                          absl::StrCat(c.section, ".", c.key)),
                  HasSubstr(absl::StrCat("is ", value, "; it must be from 1 to ")));
    }
  }
}

TEST_F(OptionsTest, RefusalsAreRememberedUnlessTurnedOff) {
  EXPECT_EQ(Right("").max_remembered_refusals, 1000u);
  EXPECT_EQ(Right("http { max_remembered_refusals: 0 }").max_remembered_refusals, 0u);
  EXPECT_EQ(Right("http { max_remembered_refusals: 10000 }").max_remembered_refusals, 10'000u);
  for (const char* value : {"-1", "10001"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("http { max_remembered_refusals: ", value, " }"),
                        "http.max_remembered_refusals"),
                HasSubstr("it must be from 0 (remember none) to 10000"));
  }
}

// Both bodies of the largest size of one event find room.
TEST_F(OptionsTest, ConflictsHaveTheirLimits) {
  const RetentionLimits defaults = Right("").retention;
  EXPECT_EQ(defaults.max_conflict_age, absl::Hours(24 * 30));
  EXPECT_EQ(defaults.max_conflict_entries, 1000);
  EXPECT_EQ(defaults.max_conflict_bytes, 64 << 20);
  const RetentionLimits limits = Right(
                                     "http { max_body_bytes: 500 } storage { conflicts { "
                                     "max_age { seconds: 3600 } max_entries: 2 max_bytes: 1000 } }")
                                     .retention;
  EXPECT_EQ(limits.max_conflict_age, absl::Hours(1));
  EXPECT_EQ(limits.max_conflict_entries, 2);
  EXPECT_EQ(limits.max_conflict_bytes, 1000);
  EXPECT_THAT(ErrorOf("http { max_body_bytes: 500 } storage { conflicts { max_bytes: 999 } }",
                      "storage.conflicts.max_bytes"),
              HasSubstr("from 1000"));
  EXPECT_THAT(
      ErrorOf("storage { conflicts { max_age { seconds: 3599 } } }", "storage.conflicts.max_age"),
      HasSubstr("must be from 1h"));
}

TEST_F(OptionsTest, LargestBodyFitsIntoTheMemoryOfUnverifiedOnes) {
  EXPECT_EQ(
      Right("http { max_body_bytes: 1000 max_unverified_bytes: 1000 }").http.max_unverified_bytes,
      1000);
  EXPECT_THAT(ErrorOf("http { max_body_bytes: 1000 max_unverified_bytes: 999 }",
                      "http.max_unverified_bytes"),
              HasSubstr("at least http.max_body_bytes, which is 1000"));
}

// As config.proto says them.
TEST_F(OptionsTest, GrpcLimitsHaveTheirDefaults) {
  const GrpcServerOptions grpc = Right("grpc { limits { } }").rpc.transport;
  EXPECT_EQ(grpc.max_connections, 12'000);
  EXPECT_EQ(grpc.max_unidentified_connections, 512);
  EXPECT_EQ(grpc.max_unidentified_time_percent, 25);
  EXPECT_EQ(grpc.max_handshakes_per_second, 1000);
  EXPECT_EQ(grpc.max_calls_per_connection, 1000);
  EXPECT_EQ(grpc.max_calls_per_unidentified_connection, 100);
  EXPECT_EQ(grpc.max_calls, 20'000);
  EXPECT_EQ(grpc.max_header_list_bytes, 16u << 10);
  EXPECT_EQ(grpc.max_message_bytes, 1u << 20);
  EXPECT_EQ(grpc.max_inbound_bytes_per_connection, 8u << 20);
  EXPECT_EQ(grpc.max_inbound_bytes, 12u << 20);
  EXPECT_EQ(grpc.max_outbound_bytes_per_connection, 16u << 20);
  EXPECT_EQ(grpc.max_outbound_bytes, 32u << 20);
  EXPECT_EQ(grpc.max_stream_bytes, 256u << 20);
  EXPECT_EQ(grpc.empty_frames_burst, 10'000);
  EXPECT_EQ(grpc.empty_frames_per_second, 1000);
  EXPECT_EQ(grpc.resets_burst, 1000);
  EXPECT_EQ(grpc.resets_per_second, 100);
  EXPECT_EQ(grpc.handshake_timeout, absl::Seconds(10));
  EXPECT_EQ(grpc.header_timeout, absl::Seconds(10));
  EXPECT_EQ(grpc.message_timeout, absl::Seconds(30));
  EXPECT_EQ(grpc.write_timeout, absl::Seconds(60));
  EXPECT_EQ(grpc.idle_timeout, absl::Minutes(10));
  EXPECT_EQ(grpc.unidentified_idle_timeout, absl::Minutes(1));
  EXPECT_EQ(grpc.max_connection_age, absl::InfiniteDuration());
  EXPECT_EQ(grpc.max_connection_age_grace, absl::Seconds(30));
  EXPECT_EQ(grpc.keepalive_interval, absl::Seconds(60));
  EXPECT_EQ(grpc.keepalive_timeout, absl::Seconds(20));
  EXPECT_FALSE(grpc.client_ca_required);
}

// A large event was stored, and then never delivered with its raw body.
TEST_F(OptionsTest, AnswersHaveRoomForTheLargestEvent) {
  EXPECT_EQ(Right("http { max_body_bytes: 67108864 max_unverified_bytes: 67108864 } "
                  "storage { max_queued_bytes: 268435456 }")
                .rpc.transport.max_outbound_bytes,
            (size_t{256} << 20) + (1 << 20));
}

TEST_F(OptionsTest, EveryGrpcLimitIsTaken) {
  const GrpcServerOptions grpc = Right(R"(grpc { max_streams: 8 limits {
      max_connections: 1 max_connections_per_address: 2 max_unidentified_connections: 3
      max_calls_per_connection: 4 max_calls_per_unidentified_connection: 3 max_calls: 9 max_header_list_bytes: 5000
      max_handshakes_per_second: 10 max_handshakes_per_second_per_address: 11
      max_unidentified_time_percent: 12
      max_message_bytes: 70000 max_inbound_bytes_per_connection: 80000 max_inbound_bytes: 90000
      max_outbound_bytes_per_connection: 1100000 max_outbound_bytes: 1200000
      max_stream_bytes: 1300000
      empty_frames_burst: 5 empty_frames_per_second: 6 resets_burst: 7 resets_per_second: 8
      handshake_timeout { seconds: 1 } header_timeout { seconds: 2 } message_timeout { seconds: 3 }
      write_timeout { seconds: 4 } idle_timeout { seconds: 5 }
      unidentified_idle_timeout { seconds: 6 } max_connection_age { seconds: 7 }
      max_connection_age_grace { seconds: 8 } keepalive_interval { seconds: 9 }
      keepalive_timeout { seconds: 10 } } })")
                                     .rpc.transport;
  EXPECT_EQ(grpc.max_connections, 1);
  EXPECT_EQ(grpc.max_connections_per_address, 2);
  EXPECT_EQ(grpc.max_unidentified_connections, 3);
  EXPECT_EQ(grpc.max_unidentified_time_percent, 12);
  EXPECT_EQ(grpc.max_handshakes_per_second, 10);
  EXPECT_EQ(grpc.max_handshakes_per_second_per_address, 11);
  EXPECT_EQ(grpc.max_calls_per_connection, 4);
  EXPECT_EQ(grpc.max_calls_per_unidentified_connection, 3);
  EXPECT_EQ(grpc.max_calls, 9);
  EXPECT_EQ(grpc.max_header_list_bytes, 5000u);
  EXPECT_EQ(grpc.max_message_bytes, 70'000u);
  EXPECT_EQ(grpc.max_inbound_bytes_per_connection, 80'000u);
  EXPECT_EQ(grpc.max_inbound_bytes, 90'000u);
  EXPECT_EQ(grpc.max_outbound_bytes_per_connection, 1'100'000u);
  EXPECT_EQ(grpc.max_outbound_bytes, 1'200'000u);
  EXPECT_EQ(grpc.max_stream_bytes, 1'300'000u);
  EXPECT_EQ(grpc.empty_frames_burst, 5);
  EXPECT_EQ(grpc.empty_frames_per_second, 6);
  EXPECT_EQ(grpc.resets_burst, 7);
  EXPECT_EQ(grpc.resets_per_second, 8);
  EXPECT_EQ(grpc.handshake_timeout, absl::Seconds(1));
  EXPECT_EQ(grpc.header_timeout, absl::Seconds(2));
  EXPECT_EQ(grpc.message_timeout, absl::Seconds(3));
  EXPECT_EQ(grpc.write_timeout, absl::Seconds(4));
  EXPECT_EQ(grpc.idle_timeout, absl::Seconds(5));
  EXPECT_EQ(grpc.unidentified_idle_timeout, absl::Seconds(6));
  EXPECT_EQ(grpc.max_connection_age, absl::Seconds(7));
  EXPECT_EQ(grpc.max_connection_age_grace, absl::Seconds(8));
  EXPECT_EQ(grpc.keepalive_interval, absl::Seconds(9));
  EXPECT_EQ(grpc.keepalive_timeout, absl::Seconds(10));
}

TEST_F(OptionsTest, GrpcLimitsOutOfRangeAreAllNamed) {
  EXPECT_THAT(
      ErrorsOf(R"(grpc { limits {
      max_connections: -1
      max_unidentified_time_percent: 101
      max_handshakes_per_second: -2
      max_calls: 9999  # fewer than max_streams
      max_calls_per_unidentified_connection: 1001
      max_header_list_bytes: 4095
      max_message_bytes: 67108864
      max_inbound_bytes_per_connection: 67108863  # no such message would fit
      max_inbound_bytes: 1
      max_outbound_bytes_per_connection: 1000000  # less than a page of events
      max_outbound_bytes: 16000000
      max_stream_bytes: 1000000  # less than many a frame
      write_timeout { }
      max_connection_age { seconds: -1 } } })"),
      ElementsAre(HasSubstr("grpc.limits.max_connections: is -1; it must be from 1 to 1000000"),
                  HasSubstr("grpc.limits.max_unidentified_time_percent: is 101; it must be from 1 "
                            "to 100"),
                  HasSubstr("grpc.limits.max_handshakes_per_second: is -2; it must be from 1 to "),
                  HasSubstr("grpc.limits.max_calls_per_unidentified_connection: is 1001; it must "
                            "be from 1 to 1000"),
                  HasSubstr("grpc.limits.max_calls: is 9999; it must be from 10000 to "),
                  HasSubstr("grpc.limits.max_header_list_bytes: is 4095; it must be from 4096"),
                  HasSubstr("grpc.limits.max_inbound_bytes_per_connection: is 67108863; it must "
                            "be from 67108864"),
                  HasSubstr("grpc.limits.max_inbound_bytes: is 1; it must be from 67108864"),
                  HasSubstr("grpc.limits.max_outbound_bytes_per_connection: is 1000000; it must "
                            "be from 1048576"),
                  HasSubstr("grpc.limits.max_outbound_bytes: is 16000000; it must be from "
                            "16777216"),
                  HasSubstr("grpc.limits.max_stream_bytes: is 1000000; it must be from 1048576"),
                  HasSubstr("grpc.limits.write_timeout: is 0; it must be from 1ms to 1h"),
                  HasSubstr("grpc.limits.max_connection_age: is -1s; it must be from 1ms to ")));
}

// Streams count as calls, and would be refused as such.
TEST_F(OptionsTest, AsManyCallsAsStreamsFit) {
  EXPECT_EQ(Right("grpc { max_streams: 50000 }").rpc.transport.max_calls, 100'000);
}

TEST_F(OptionsTest, ClientCertificatesCannotBeRequiredWithoutAnAuthority) {
  EXPECT_THAT(ErrorOf("grpc { tls { client_ca_required: true } }", "grpc.tls.client_ca_required"),
              HasSubstr("needs grpc.tls.client_ca_file"));
  EXPECT_THAT(ErrorOf("http { tls { client_ca_required: true } }", "http.tls.client_ca_required"),
              HasSubstr("leave it out"));
}

TEST_F(OptionsTest, MaxBytesHasAFloor) {
  EXPECT_EQ(Right("").retention.max_bytes, kNoMaxBytes);
  EXPECT_EQ(Right("storage { max_bytes: 67108864 }").retention.max_bytes, 67108864);
  for (const char* value : {"67108863", "1", "-1"}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("storage { max_bytes: ", value, " }"), "storage.max_bytes"),
                HasSubstr(absl::StrCat("is ", value, "; it must be at least 67108864 (64 MiB)")));
  }
}

// A queue smaller than one webhook answers it 503 for ever.
TEST_F(OptionsTest, QueueMustHoldTheLargestWebhook) {
  const std::string error =
      ErrorOf("http { max_body_bytes: 67108864 }", "storage.max_queued_bytes");
  EXPECT_THAT(error, HasSubstr("is 67108864"));
  EXPECT_THAT(error, HasSubstr("268435456"));
  Right("http { max_body_bytes: 67108864 } storage { max_queued_bytes: 268435456 }");
  ErrorOf("storage { max_queued_bytes: 4194303 }", "storage.max_queued_bytes");
  Right("storage { max_queued_bytes: 4194304 }");
}

TEST_F(OptionsTest, DurationOutOfRangeIsNamedWithItsRange) {
  const struct {
    const char* before;
    const char* key;
    const char* after;
    std::vector<const char*> right;
    std::vector<const char*> wrong;
  } cases[] = {
      {"http {",
       "header_timeout",
       "}",
       {"nanos: 1000000", "seconds: 3600"},
       {"", "nanos: 999999", "seconds: -1", "seconds: 3600 nanos: 1"}},
      {"http {",
       "body_timeout",
       "}",
       {"nanos: 1000000", "seconds: 3600"},
       {"", "nanos: 999999", "seconds: -1", "seconds: 3600 nanos: 1"}},
      {"http {",
       "idle_timeout",
       "}",
       {"nanos: 1000000", "seconds: 86400"},
       {"", "nanos: 999999", "seconds: -1", "seconds: 86401"}},
      {"storage {",
       "retention",
       "}",
       {"seconds: 345600", "seconds: 3153600000"},
       {"", "seconds: 345599", "seconds: 3153600001"}},
      {"", "drain_timeout", "", {"", "seconds: 600"}, {"seconds: -1", "seconds: 601"}},
      {R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" } )",
       "timestamp_tolerance",
       "}",
       {"seconds: 1", "seconds: 86400"},
       {"", "nanos: 1", "seconds: 86401", "seconds: -300"}},
  };
  for (const auto& c : cases) {
    const absl::string_view section(c.before, absl::string_view(c.before).find(' ') + 1);
    const std::string prefix = absl::StartsWith(section, "sources") ? "sources[0]."
                               : section.empty()
                                   ? ""
                                   : absl::StrCat(absl::StripSuffix(section, " "), ".");
    const auto text = [&](const char* value) {
      return absl::StrCat(c.before, c.key, " { ", value, " }", c.after);
    };
    for (const char* value : c.right) Right(text(value));
    for (const char* value : c.wrong) {
      EXPECT_THAT(ErrorOf(text(value), absl::StrCat(prefix, c.key)),
                  HasSubstr("; it must be from "));
    }
    ErrorOf(text("seconds: 1 nanos: -1"), absl::StrCat(prefix, c.key));
    ErrorOf(text("seconds: 9223372036854775807"), absl::StrCat(prefix, c.key));
  }
}

TEST_F(OptionsTest, LoggingNamesWhatThereIs) {
  EXPECT_THAT(ErrorOf(R"(logging { format: "xml" })", "logging.format"), HasSubstr("text or json"));
  EXPECT_THAT(ErrorOf(R"(logging { level: "loud" })", "logging.level"),
              HasSubstr("debug, info, warning or error"));
}

// --- Sources ----------------------------------------------------------------------------------

TEST_F(OptionsTest, SourceNameIsShortAndOfPlainCharacters) {
  for (const std::string& name :
       {std::string(), std::string("OpenAI"), std::string("a b"), std::string("a/b"),
        std::string("a.b"), std::string("a%62"), std::string("\\303\\244"), std::string(65, 'a')}) {
    EXPECT_THAT(ErrorOf(absl::StrCat("sources { name: \"", name,
                                     "\" secrets { name: \"n\" inline: \"whsec_YWJjZGVmZ2g=\" } }"),
                        "sources[0].name"),
                HasSubstr("1 to 64 lower-case letters, digits, '-' or '_'"));
  }
  Right(absl::StrCat("sources { name: \"", std::string(64, 'a'),
                     "\" secrets { name: \"n\" inline: \"whsec_YWJjZGVmZ2g=\" } }"));
}

TEST_F(OptionsTest, NamesAreUnique) {
  EXPECT_THAT(ErrorOf(R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" } }
                         sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" } })",
                      "sources[1].name"),
              HasSubstr("\"s\" is there twice"));
  EXPECT_THAT(ErrorOf(R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" }
                                             secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" } })",
                      "sources[0].secrets[1].name"),
              HasSubstr("\"n\" is there twice"));
}

TEST_F(OptionsTest, NothingStartsWithoutASecret) {
  environment_.clear();
  EXPECT_THAT(ErrorOf("", "sources"), HasSubstr("OPENAI_WEBHOOK_SECRET"));
  EXPECT_THAT(ErrorOf(R"(sources { name: "s" })", "sources[0].secrets"), HasSubstr("is empty"));
  for (const char* blank : {"", " \n", "whsec_"}) {
    environment_["OPENAI_WEBHOOK_SECRET"] = blank;
    ErrorOf("", "OPENAI_WEBHOOK_SECRET");
  }
}

TEST_F(OptionsTest, RawTextHasToBeAskedFor) {
  const std::string key = "sources[0].secrets[0]";
  EXPECT_THAT(SecretError(absl::StrCat("name: \"n\" inline: \"", kKey, "\""), key),
              HasSubstr("set raw: true"));
  environment_["OPENAI_WEBHOOK_SECRET"] = kKey;
  EXPECT_THAT(ErrorOf("", "OPENAI_WEBHOOK_SECRET"), HasSubstr("with raw: true"));
  const auto asked = [](const std::string& text) {
    return absl::StrCat("sources { name: \"s\" secrets { name: \"n\" inline: \"", text,
                        "\" raw: true } }");
  };
  EXPECT_EQ(Right(asked(kKey)).sources[0].secrets[0].key(), kKey);
  EXPECT_THAT(WarningsOf(asked("private-key")),
              Contains(HasSubstr(key + ": secret \"n\" has only 11 bytes")));
}

TEST_F(OptionsTest, SecretThatIsMissingEmptyOrNoBase64IsNamed) {
  const std::string key = "sources[0].secrets[0]";
  EXPECT_THAT(SecretError(R"(name: "n")", key), HasSubstr("set inline, file or environment"));
  EXPECT_THAT(SecretError(R"(inline: "whsec_YWJjZGVmZ2g=")", key + ".name"), HasSubstr("is empty"));
  const std::string wrong[] = {"",
                               " \t\n",
                               "whsec_",
                               "whsec_ ",
                               absl::StrCat("whsec_", kKey),
                               "whsec_cHJpdmF0ZQ",
                               absl::StrCat("whpk_", kKeyBase64),
                               absl::StrCat("whsk_", kKeyBase64)};
  for (const std::string& text : wrong) {
    SCOPED_TRACE(text);
    Config config;
    auto* secret = config.add_sources()->add_secrets();
    config.mutable_sources(0)->set_name("s");
    secret->set_name("n");
    secret->set_inline_(text);
    Problems problems;
    Resolve(config, problems);
    EXPECT_THAT(problems.errors(), ElementsAre(StartsWith(key + ": ")));
    EXPECT_THAT(SecretError(absl::StrCat("name: \"n\" file: \"", WriteFile(text), "\""), key),
                HasSubstr("\"n\""));
    environment_["SECRET"] = text;
    EXPECT_THAT(SecretError(R"(name: "n" environment: "SECRET")", key), HasSubstr("\"n\""));
  }
}

TEST_F(OptionsTest, SecretThatCannotBeReadIsNamed) {
  const std::string key = "sources[0].secrets[0]";
  EXPECT_THAT(SecretError(R"(name: "n" environment: "UNSET")", key + ".environment"),
              HasSubstr("UNSET is not set"));
  EXPECT_THAT(SecretError(R"(name: "n" file: "/no/such/file")", key + ".file"),
              HasSubstr("/no/such/file cannot be read"));
  EXPECT_THAT(SecretError(R"(name: "n" file: "/")", key + ".file"), HasSubstr("/ cannot be read"));
  const std::string large = WriteFile(kSecret + std::string(4096, '\n'));
  EXPECT_THAT(SecretError(absl::StrCat("name: \"n\" file: \"", large, "\""), key + ".file"),
              HasSubstr(absl::StrCat(large, " is larger than 4096 bytes")));
}

// A secret that was put where its file, its variable or its name belongs stood in the log, and in
// GetStatus after a reload.
TEST_F(OptionsTest, SecretInTheWrongFieldIsNotRepeated) {
  const std::string key = "sources[0].secrets[0]";
  constexpr char kRaw[] = "s3cr3ts3cr3ts3cr3ts3cr3t";
  for (const std::string& secret : {std::string(kSecret), std::string(kRaw)}) {
    EXPECT_THAT(SecretError(absl::StrCat(R"(name: "n" environment: ")", secret, "\""),
                            key + ".environment"),
                Not(HasSubstr(secret)));
    EXPECT_THAT(SecretError(absl::StrCat(R"(name: "n" file: ")", secret, "\""), key + ".file"),
                Not(HasSubstr(secret)));
  }
  EXPECT_THAT(
      SecretError(absl::StrCat("name: \"", kSecret, "\" inline: \"", kSecret, "\""), key + ".name"),
      Not(HasSubstr(kSecret)));
  constexpr char kPem[] = "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADAN";
  EXPECT_THAT(
      ErrorOf(absl::StrCat("http { tls { certificate_file: \"/none\" key_file: \"", kPem, "\" } }"),
              "http.tls"),
      Not(HasSubstr("MIIEvQ")));
}

TEST_F(OptionsTest, ShareOfSampledTracesIsFrom0To1) {
  EXPECT_EQ(Right("").trace_sample_ratio, 1);
  EXPECT_EQ(Right("tracing { sample_ratio: 0 }").trace_sample_ratio, 0);
  EXPECT_EQ(Right("tracing { sample_ratio: 0.25 }").trace_sample_ratio, 0.25);
  for (const char* ratio : {"-0.1", "1.5", "nan", "inf"}) {
    EXPECT_THAT(
        ErrorOf(absl::StrCat("tracing { sample_ratio: ", ratio, " }"), "tracing.sample_ratio"),
        HasSubstr("from 0 to 1"));
  }
}

TEST_F(OptionsTest, OperatorEventsAreOffUnlessTheirTypesAreNamed) {
  EXPECT_THAT(Right("").operator_events.types, IsEmpty());
  const OperatorLimits limits = Right(R"(operator_events {
                 types: "hookgate.subscription.*" types: "hookgate.reload.failed"
                 min_interval { seconds: 1 } stuck_after { seconds: 2 }
                 failing_window { seconds: 10 } failing_share: 0 failing_least: 7 })")
                                    .operator_events;
  EXPECT_THAT(limits.types,
              ElementsAre(OperatorEventType::kDeadLettered, OperatorEventType::kStuck,
                          OperatorEventType::kLost, OperatorEventType::kReloadFailed));
  EXPECT_EQ(limits.min_interval, absl::Seconds(1));
  EXPECT_EQ(limits.stuck_after, absl::Seconds(2));
  EXPECT_EQ(limits.failing_window, absl::Seconds(10));
  EXPECT_EQ(limits.failing_share, 0);
  EXPECT_EQ(limits.failing_least, 7);
}

TEST_F(OptionsTest, WrongOperatorEventsAreNamed) {
  EXPECT_THAT(ErrorOf(R"(operator_events { types: "*" types: "hookgate.dead" })",
                      "operator_events.types[1]"),
              AllOf(HasSubstr("\"hookgate.dead\""), HasSubstr("hookgate.source.silent")));
  EXPECT_THAT(
      ErrorOf("operator_events { min_interval { nanos: 1 } }", "operator_events.min_interval"),
      HasSubstr("from 1s"));
  ErrorOf("operator_events { stuck_after { seconds: -1 } }", "operator_events.stuck_after");
  ErrorOf("operator_events { failing_window { seconds: 9 } }", "operator_events.failing_window");
  ErrorOf("operator_events { failing_least: -1 }", "operator_events.failing_least");
  for (const char* share : {"1", "-0.1", "nan"}) {
    ErrorOf(absl::StrCat("operator_events { failing_share: ", share, " }"),
            "operator_events.failing_share");
  }
  ErrorOf(
      R"(sources { name: "s" silent_after {} secrets { name: "a" inline: "whsec_YWJjZGVmZ2g=" } })",
      "sources[0].silent_after");
}

// A webhook could have told the operator whatever its sender liked.
TEST_F(OptionsTest, TheSourceHookgateIsTheGatewaysOwn) {
  const std::string source =
      R"(sources { name: "hookgate" secrets { name: "a" inline: "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4" } } )";
  EXPECT_THAT(WarningsOf(source), Contains(HasSubstr("the gateway's own source")));
  EXPECT_THAT(ErrorOf(source + R"(operator_events { types: "*" })", "sources[0].name"),
              HasSubstr("another name"));
}

TEST_F(OptionsTest, SilenceThatNoSourceMayHaveIsWarnedOf) {
  EXPECT_THAT(WarningsOf(R"(operator_events { types: "*" })"),
              Contains(HasSubstr("no source has silent_after")));
  const std::string source =
      R"(sources { name: "s" silent_after { seconds: 60 }
                   secrets { name: "a" inline: "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4" } } )";
  EXPECT_THAT(WarningsOf(source + R"(operator_events { types: "*" })"),
              Not(Contains(HasSubstr("silent_after"))));
  EXPECT_EQ(Right(source).sources[0].silent_after, absl::Seconds(60));
}

// Names of secrets are in logs, in the status, and with each event that they verify.
TEST_F(OptionsTest, NamesOfSecretsAreShortTextsOfOneLine) {
  for (const std::string& name : {std::string("a\nb"), std::string("\x1b[2J"),
                                  std::string("a\xe2\x80\xae"), std::string(101, 'a')}) {
    hookgate::config::v1::Config config;
    auto* const source = config.add_sources();
    source->set_name("s");
    source->add_secrets()->set_name(name);
    Problems problems;
    Resolve(config, problems);
    EXPECT_THAT(problems.errors(),
                Contains(StartsWith("sources[0].secrets[0].name: must be 1 to 100")));
  }
}

// A rotation that puts in the old secret again.
TEST_F(OptionsTest, SecretsThatAreTheSameAreWarnedOf) {
  constexpr char kTwice[] =
      R"(sources { name: "a" secrets { name: "old" inline: "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4" }
                             secrets { name: "new" inline: "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4" } }
         sources { name: "b" secrets { name: "x" inline: "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4" } })";
  EXPECT_THAT(WarningsOf(kTwice),
              AllOf(Contains(AllOf(HasSubstr("secret \"new\""), HasSubstr("same as that of"))),
                    Contains(AllOf(HasSubstr("sources[1]"), HasSubstr("same as that of")))));
}

// An address that could not be parsed was said to be reachable by others as well, with the advice
// to allow that.
TEST_F(OptionsTest, AnAddressThatCannotBeParsedHasOneError) {
  Problems problems;
  hookgate::config::v1::Config config;
  config.mutable_grpc()->set_address("127.0.0.1:99999");
  Resolve(config, problems);
  EXPECT_THAT(problems.errors(), testing::ElementsAre(HasSubstr("is not a HOST:PORT")));
}

// What would have been made there is a file.
TEST_F(OptionsTest, DataFolderThatIsAFileIsNamed) {
  const std::string file = WriteFile("x");
  for (const std::string& path : {file, file + "/below/it"}) {
    EXPECT_THAT(ErrorOf("storage { data_dir: \"" + path + "\" }", "storage.data_dir"),
                HasSubstr(file + " is a file; name a folder"));
  }
}

TEST_F(OptionsTest, DataFolderThatCannotBeMadeIsWarnedOf) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  Problems problems;
  hookgate::config::v1::Config config;
  config.mutable_storage()->set_data_dir("/no-such-folder/log");
  Resolve(config, problems);
  EXPECT_THAT(problems.warnings(),
              testing::Contains(HasSubstr("but / cannot be written by this user")));
}

// To trust every proxy is to believe every sender, so that allowed_networks keep nobody out.
TEST_F(OptionsTest, TrustInEverybodyIsWarnedOf) {
  const auto warnings = [this](const std::vector<const char*>& networks) {
    Problems problems;
    hookgate::config::v1::Config config;
    for (const char* const network : networks) config.mutable_http()->add_trusted_proxies(network);
    Resolve(config, problems);
    return problems.warnings();
  };
  const auto covers = [](const char* kind) {
    return testing::Contains(StartsWith(absl::StrCat("http.trusted_proxies: covers every ", kind)));
  };
  EXPECT_THAT(warnings({"10.0.0.0/8", "0.0.0.0/0"}), covers("IPv4"));
  EXPECT_THAT(warnings({"0.0.0.0/1", "128.0.0.0/1"}), covers("IPv4"));
  EXPECT_THAT(warnings({"::/0"}), AllOf(covers("IPv6"), Not(covers("IPv4"))));
  EXPECT_THAT(warnings({"::/1"}), covers("IPv6"));
  EXPECT_THAT(warnings({"10.0.0.0/8", "fd00::/8"}), Not(covers("")));
}

TEST_F(OptionsTest, NetworksAreCheckedWhereTheyStand) {
  const std::string secrets = R"(secrets { name: "a" inline: "whsec_YWJjZGVmZ2g=" })";
  const Options options = Right(absl::StrCat(
      R"(http { trusted_proxies: "10.0.0.0/8" } sources { name: "s" allowed_networks: "192.0.2.1" )",
      secrets, " }"));
  EXPECT_EQ(options.trusted_proxies.size(), 1u);
  EXPECT_EQ(options.sources[0].allowed_networks.size(), 1u);
  EXPECT_THAT(ErrorOf(R"(http { trusted_proxies: "::1" trusted_proxies: "proxy.internal" })",
                      "http.trusted_proxies[1]"),
              HasSubstr("write for example"));
  EXPECT_THAT(
      ErrorOf(absl::StrCat(R"(sources { name: "s" allowed_networks: "10.1.0.0/8" )", secrets, " }"),
              "sources[0].allowed_networks[0]"),
      HasSubstr("10.0.0.0/8"));
}

TEST_F(OptionsTest, TlsOfHttpNeedsBothFilesAndNoClientCa) {
  ErrorOf(R"(http { tls { key_file: "/k" } })", "http.tls.certificate_file");
  ErrorOf(R"(http { tls { certificate_file: "/c" } })", "http.tls.key_file");
  EXPECT_THAT(
      ErrorOf(R"(http { tls { certificate_file: "/none" key_file: "/none" } })", "http.tls"),
      HasSubstr("/none"));
  ErrorOf(R"(http { tls { certificate_file: "/c" key_file: "/k" client_ca_file: "/a" } })",
          "http.tls.client_ca_file");
}

TEST_F(OptionsTest, RateLimitIsAPositiveNumber) {
  for (const char* rate : {"0", "-1", "nan", "inf", "-inf", "1000000001"}) {
    EXPECT_THAT(
        ErrorOf(
            absl::StrCat(R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" }
                                        rate_limit { webhooks_per_second: )",
                         rate, " } }"),
            "sources[0].rate_limit.webhooks_per_second"),
        HasSubstr("must be from 0.001"));
  }
  EXPECT_THAT(ErrorOf(R"(sources { name: "s" secrets { name: "n" inline: "whsec_YWJjZGVmZ2g=" }
                         rate_limit { webhooks_per_second: 1 burst: -1 } })",
                      "sources[0].rate_limit.burst"),
              HasSubstr("1 or more"));
}

// --- All at once --------------------------------------------------------------------------------

// One error was told at a time: each was found by another start.
TEST_F(OptionsTest, EveryMistakeIsToldAtOnceWithItsKey) {
  environment_.clear();
  const auto errors = ErrorsOf(R"(
      http { address: "nonsense" max_connections: -1 header_timeout { seconds: -1 }
             trusted_proxies: "x" trusted_proxies: "y" tls { } }
      grpc { address: "0.0.0.0:1" max_streams: -1 }
      admin { address: ":" }
      storage { retention { seconds: 1 } max_bytes: 1 max_queued_bytes: 1
                history { max_age { seconds: 1 } max_rows: 999 } }
      logging { format: "xml" level: "loud" }
      drain_timeout { seconds: -1 }
      principals { certificate_names: "*" token_sha256: "1" token_sha256: "2"
                   rights { query: "" consume: "a*" } }
      sources { name: "Bad" timestamp_tolerance { }
                secrets { name: "a" file: "/none" } secrets { name: "a" inline: "x" }
                secrets { environment: "UNSET" }
                rate_limit { } allowed_networks: "z" }
      sources { name: "none" })");
  for (const char* key : {"http.address",
                          "http.max_connections",
                          "http.header_timeout",
                          "http.trusted_proxies[0]",
                          "http.trusted_proxies[1]",
                          "http.tls.certificate_file",
                          "http.tls.key_file",
                          "grpc.address",
                          "grpc.max_streams",
                          "admin.address",
                          "storage.retention",
                          "storage.max_bytes",
                          "storage.history.max_age",
                          "storage.history.max_rows",
                          "storage.max_queued_bytes",
                          "logging.format",
                          "logging.level",
                          "drain_timeout",
                          "principals[0].name",
                          "principals[0].certificate_names",
                          "principals[0].certificate_names[0]",
                          "principals[0].token_sha256[0]",
                          "principals[0].token_sha256[1]",
                          "principals[0].rights.query[0]",
                          "principals[0].rights.consume[0]",
                          "sources[0].name",
                          "sources[0].timestamp_tolerance",
                          "sources[0].secrets[0].file",
                          "sources[0].secrets[1].name",
                          "sources[0].secrets[1]",
                          "sources[0].secrets[2].name",
                          "sources[0].secrets[2].environment",
                          "sources[0].rate_limit.webhooks_per_second",
                          "sources[0].allowed_networks[0]",
                          "sources[1].secrets"}) {
    EXPECT_THAT(errors, Contains(StartsWith(absl::StrCat(key, ": "))));
  }
  EXPECT_EQ(errors.size(), 35u);
}

// --- Warnings -----------------------------------------------------------------------------------

TEST_F(OptionsTest, OpenDoorsAreWarnedOf) {
  EXPECT_THAT(WarningsOf(""),
              ElementsAre(AllOf(StartsWith("principals: "), HasSubstr("every user of this machine"),
                                HasSubstr("127.0.0.1:50051"))));
  EXPECT_THAT(WarningsOf(R"(grpc { address: "0.0.0.0:1" allow_insecure: true })"),
              ElementsAre(AllOf(StartsWith("principals: "), HasSubstr("everyone in the network")),
                          AllOf(StartsWith("grpc.allow_insecure: "), HasSubstr("without TLS"))));
  EXPECT_THAT(WarningsOf(absl::StrCat("principals { name: \"a\" token_sha256: \"", kDigest,
                                      "\" rights { admin: true } }")),
              IsEmpty());
}

// Both were found out only when calls were refused.
TEST_F(OptionsTest, RightsThatAllowNothingAreWarnedOf) {
  const auto principal = [](const std::string& rights) {
    return absl::StrCat("principals { name: \"a\" token_sha256: \"", kDigest, "\" ", rights, " } ");
  };
  for (const char* none : {"", "rights {}", "rights { admin: false }"}) {
    EXPECT_THAT(WarningsOf(principal(none)),
                ElementsAre(AllOf(StartsWith("principals[0].rights: "), HasSubstr("refused"))));
  }
  for (const char* some : {"admin: true", "subscribe: '*'", "query: 'openai'", "consume: 'a'",
                           "consume: 'mail.*'", "consume: '*'", "consume: 'a-b_c.9'"}) {
    EXPECT_THAT(WarningsOf(principal(absl::StrCat("rights { ", some, " }"))), IsEmpty()) << some;
  }
  EXPECT_THAT(WarningsOf(principal(absl::StrCat("rights { consume: 'a' consume: 'Mail' consume: "
                                                "'mail/x.*' consume: '",
                                                std::string(101, 'x'), "' consume: 'b c' }"))),
              ElementsAre(AllOf(StartsWith("principals[0].rights.consume[1]: "),
                                HasSubstr("lower-case"), HasSubstr("no subscription")),
                          StartsWith("principals[0].rights.consume[2]: "),
                          StartsWith("principals[0].rights.consume[3]: "),
                          StartsWith("principals[0].rights.consume[4]: ")));
}

TEST_F(OptionsTest, RightForASourceThatIsNotThereIsWarnedOf) {
  const auto principal = [](const std::string& rights) {
    return absl::StrCat("principals { name: \"a\" token_sha256: \"", kDigest, "\" rights { ",
                        rights, " } } ");
  };
  EXPECT_THAT(WarningsOf(principal(R"(subscribe: "openai" query: "*" consume: "opnai")")),
              IsEmpty());
  EXPECT_THAT(WarningsOf(principal(R"(subscribe: "opnai" query: "openai" query: "x")")),
              ElementsAre(AllOf(StartsWith("principals[0].rights.subscribe[0]: "),
                                HasSubstr("no source \"opnai\""), HasSubstr("there are: openai")),
                          StartsWith("principals[0].rights.query[1]: ")));
  EXPECT_THAT(
      WarningsOf(principal(R"(query: "openai")") +
                 R"(sources { name: "s" secrets { name: "n" inline: ")" + kSecret + "\" } }"),
      ElementsAre(HasSubstr("there are: s")));
}

TEST_F(OptionsTest, ClusterIsResolved) {
  EXPECT_FALSE(Right("").cluster.has_value());
  const Options options = Right(
      "cluster { name: 'hooks_1' replica: 'a-1.x' address: 'gate-a.internal:50051' "
      "append_timeout { seconds: 2 } postgresql { uri: 'postgresql://x@db/y' } }");
  ASSERT_TRUE(options.cluster.has_value());
  EXPECT_EQ(options.cluster->replica.cluster, "hooks_1");
  EXPECT_EQ(options.cluster->replica.name, "a-1.x");
  EXPECT_EQ(options.cluster->replica.address, "gate-a.internal:50051");
  EXPECT_EQ(options.cluster->replica.append_timeout, absl::Seconds(2));
  EXPECT_EQ(options.cluster->log.cluster, "hooks_1");
  EXPECT_EQ(std::get<PostgresLogOptions>(options.cluster->engine).uri, "postgresql://x@db/y");
  const std::string file = WriteFile("postgresql://u:p@db/y\n");
  EXPECT_EQ(std::get<PostgresLogOptions>(
                Right(absl::StrCat("cluster { name: 'h' replica: 'a' postgresql { uri_file: '",
                                   file, "' } }"))
                    .cluster->engine)
                .uri,
            "postgresql://u:p@db/y");
  const auto jetstream = std::get<JetStreamLogOptions>(
      Right("cluster { name: 'h' replica: 'a' jetstream { servers: 'nats://n:4222' "
            "monitoring_urls: 'http://n:8222' } }")
          .cluster->engine);
  EXPECT_EQ(jetstream.replicas, 3);
  EXPECT_THAT(jetstream.servers, ElementsAre("nats://n:4222"));
  // A record has to hold the largest webhook.
  EXPECT_GE(Right("http { max_body_bytes: 4000000 } storage { max_queued_bytes: 100000000 } "
                  "cluster { name: 'h' replica: 'a' postgresql { uri: 'x' } }")
                .cluster->log.max_record_bytes,
            4 * 4'000'000);
}

TEST_F(OptionsTest, EveryMistakeOfAClusterIsToldAtOnce) {
  EXPECT_THAT(ErrorsOf("cluster {}"),
              ElementsAre(StartsWith("cluster.name: "), StartsWith("cluster.replica: "),
                          AllOf(StartsWith("cluster: "), HasSubstr("postgresql"))));
  EXPECT_THAT(
      ErrorsOf("cluster { name: 'A' replica: 'a b' address: 'nowhere' log_retention { "
               "seconds: 1 } append_timeout { seconds: 60 } postgresql {} }"),
      ElementsAre(StartsWith("cluster.name: "), StartsWith("cluster.replica: "),
                  StartsWith("cluster.address: "),
                  StartsWith("cluster.append_timeout: is 1m; it must be from 100ms to 10s"),
                  StartsWith("cluster.log_retention: "), StartsWith("cluster.postgresql.uri: ")));
  EXPECT_THAT(
      ErrorsOf("cluster { name: 'h' replica: 'a' jetstream { replicas: 2 key_file: 'x' } }"),
      ElementsAre(
          StartsWith("cluster.jetstream.servers: "),
          StartsWith("cluster.jetstream.certificate_file: "),
          StartsWith("cluster.jetstream.replicas: "),
          AllOf(StartsWith("cluster.jetstream.monitoring_urls: "), HasSubstr("trust_fsync"))));
  EXPECT_THAT(
      ErrorsOf("cluster { name: 'h' replica: 'a' jetstream { servers: 'nats://n:1' "
               "trust_fsync: true replicas: 1 } }"),
      ElementsAre(AllOf(StartsWith("cluster.jetstream.replicas: "), HasSubstr("trust_storage"))));
  EXPECT_THAT(ErrorsOf("cluster { name: 'h' replica: 'a' postgresql { uri: 'x' } peers { peers { "
                       "name: 'a' address: 'b:0' } peers { address: 'c:1' } } }"),
              ElementsAre(StartsWith("cluster.peers.listen_address: "),
                          StartsWith("cluster.peers.tls.certificate_file: "),
                          StartsWith("cluster.peers.tls.key_file: "),
                          StartsWith("cluster.peers.tls.client_ca_file: "),
                          AllOf(StartsWith("cluster.peers.peers[0].name: "), HasSubstr("itself")),
                          StartsWith("cluster.peers.peers[0].address: "),
                          StartsWith("cluster.peers.peers[1].name: ")));
  EXPECT_THAT(
      ErrorsOf("http { max_body_bytes: 60000000 max_unverified_bytes: 100000000 } storage { "
               "max_queued_bytes: 1000000000 } cluster { name: 'h' replica: 'a' postgresql "
               "{ uri: 'x' } }"),
      ElementsAre(AllOf(StartsWith("http.max_body_bytes: "), HasSubstr("cluster"))));
}

TEST_F(OptionsTest, WhatAClusterTakesOnTrustIsWarnedOf) {
  EXPECT_THAT(
      WarningsOf("cluster { name: 'h' replica: 'a' postgresql { uri: 'x' trust_storage: "
                 "true } }"),
      ElementsAre(StartsWith("principals: "), StartsWith("cluster.postgresql.trust_storage: "),
                  StartsWith("cluster.peers: ")));
  EXPECT_THAT(
      WarningsOf("cluster { name: 'h' replica: 'a' jetstream { servers: 'nats://n:1' "
                 "trust_fsync: true trust_storage: true } }"),
      ElementsAre(StartsWith("principals: "), StartsWith("cluster.jetstream.trust_fsync: "),
                  StartsWith("cluster.jetstream.trust_storage: "), StartsWith("cluster.peers: ")));
}

}  // namespace
}  // namespace hookgate
