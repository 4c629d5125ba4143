#include "server/config/reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"

namespace hookgate {
namespace {

using hookgate::config::v1::Config;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Config Parse(const std::string& text) {
  Config config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config));
  return config;
}

Problems Check(const std::string& running, const std::string& next) {
  Problems problems;
  CheckReload({Parse(running), Parse(running)}, {Parse(next), Parse(next)}, problems);
  return problems;
}

TEST(ReloadTest, SourcesRetentionAndLogLevelMayChange) {
  EXPECT_TRUE(Check("", R"(
      sources { name: "openai" secrets { name: "a" inline: "whsec_MTIz" } }
      storage { retention { seconds: 500000 } max_bytes: 67108864 quarantine { max_entries: 5 }
                history { max_rows: 2000 }
                conflicts { max_entries: 5 } }
       tracing { sample_ratio: 0.5 }
       operator_events { types: "hookgate.*" }
      logging { level: "debug" })")
                  .ok());
}

TEST(ReloadTest, WhatCannotChangeIsNamed) {
  const auto error = [](const std::string& text) {
    return absl::StrJoin(Check("http { max_connections: 1 }", text).errors(), "; ");
  };
  EXPECT_EQ(error("http { max_connections: 1 } grpc {}"), "");
  EXPECT_THAT(error("http { max_connections: 2 }"), HasSubstr("http.max_connections: 1 -> 2"));
  EXPECT_THAT(error(""), HasSubstr("http.max_connections"));
  EXPECT_THAT(error("http { max_connections: 1 address: '[::1]:1' }"), HasSubstr("http.address"));
  EXPECT_THAT(error("http { max_connections: 1 } storage { data_dir: 'x' }"),
              HasSubstr("storage.data_dir"));
  EXPECT_THAT(error("http { max_connections: 1 } drain_timeout { seconds: 1 }"),
              HasSubstr("drain_timeout"));
  EXPECT_THAT(error("http { max_connections: 2 } drain_timeout { seconds: 1 }"),
              AllOf(HasSubstr("http.max_connections"), HasSubstr("drain_timeout")));
}

TEST(ReloadTest, SecretsAreNotQuoted) {
  const Problems problems =
      Check("sources { secrets { inline: 'very secret' } }",
            "sources { secrets { inline: 'also secret' } } http { max_connections: 1 }");
  EXPECT_FALSE(problems.ok());
  EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr("secret"))));
}

// What is refused is logged, told by GetStatus, and stored as an event.
TEST(ReloadTest, PasswordsOfEnginesAreNotQuoted) {
  for (const auto& [running, next] :
       {std::pair("cluster { postgresql { uri: 'postgresql://u:secret@h/d' } }",
                  "cluster { postgresql { uri: 'postgresql://u:secret2@h/d' } }"),
        {"cluster { jetstream { servers: 'nats://u:secret@h' } }",
         "cluster { jetstream { servers: 'nats://u:secret2@h' } }"},
        {"cluster { jetstream { servers: 'nats://u:secret@h' } }", "cluster { }"},
        {"", "cluster { postgresql { uri: 'postgresql://u:secret@h/d' } }"}}) {
    const Problems problems = Check(running, next);
    EXPECT_THAT(problems.errors(), Contains(AllOf(HasSubstr("cluster"), HasSubstr("restart"))));
    EXPECT_THAT(problems.errors(), Not(Contains(HasSubstr("secret"))));
  }
}

// A config that was emptied or cut, and SIGHUP: gRPC was open to everybody, and "config applied".
TEST(ReloadTest, FileThatHasLostWhatClosesADoorIsRefused) {
  constexpr char kPrincipals[] = "principals { name: 'a' } principals { name: 'b' } ";
  constexpr char kSources[] = "sources { name: 's' } ";
  const std::string whole = absl::StrCat(kPrincipals, kSources);
  EXPECT_THAT(Check(whole, kSources).errors(),
              ElementsAre(AllOf(HasSubstr("principals: there were 2"), HasSubstr("restart"))));
  EXPECT_THAT(Check(whole, kPrincipals).errors(),
              ElementsAre(AllOf(HasSubstr("sources: there were 1"), HasSubstr("restart"))));
  EXPECT_THAT(Check(whole, "").errors(),
              ElementsAre(HasSubstr("principals"), HasSubstr("sources")));
  EXPECT_TRUE(Check(whole, "principals { name: 'c' } sources { name: 't' }").ok());
  EXPECT_TRUE(Check("", whole).ok());
  EXPECT_TRUE(Check("", "").ok());
}

TEST(ReloadTest, SectionThatIsGoneIsRefusedAndAnEmptyOneIsMeant) {
  EXPECT_THAT(Check("storage { retention { seconds: 9000000 } }", "").errors(),
              ElementsAre(AllOf(HasSubstr("storage: "), HasSubstr("write storage { }"))));
  EXPECT_TRUE(Check("storage { retention { seconds: 9000000 } }", "storage { }").ok());
  EXPECT_THAT(Check("logging { level: 'debug' }", "").errors(), ElementsAre(HasSubstr("logging")));
}

// Flags put sections into the config that the file does not have.
TEST(ReloadTest, SectionThatTheFileHasLostIsMissedBehindAFlag) {
  Problems problems;
  CheckReload({Parse("storage { retention { seconds: 9 } }"),
               Parse("storage { data_dir: 'x' retention { seconds: 9 } }")},
              {Parse(""), Parse("storage { data_dir: 'x' }")}, problems);
  EXPECT_THAT(problems.errors(), ElementsAre(HasSubstr("storage: ")));
}

// A retention of a day in place of a month removed the log, and nothing was said.
TEST(ReloadTest, SmallerLimitsOfWhatIsKeptAreWarnedOf) {
  RetentionLimits running, next;
  Problems problems;
  NoteSmallerLimits(running, next, problems);
  next.max_event_age = absl::Hours(24 * 60);
  NoteSmallerLimits(running, next, problems);
  EXPECT_THAT(problems.warnings(), IsEmpty());
  next.max_event_age = absl::Hours(24);
  next.max_bytes = 1 << 30;
  next.max_history_rows = 5000;
  NoteSmallerLimits(running, next, problems);
  EXPECT_THAT(
      problems.warnings(),
      ElementsAre(
          AllOf(HasSubstr("storage.retention: is 24h now, and was 720h"), HasSubstr("removed")),
          HasSubstr("storage.max_bytes: is 1073741824 now, and was without a limit"),
          HasSubstr("storage.history.max_rows: is 5000 now, and was 1000000")));
}

TEST(ReloadTest, ChangedSettingsAreNamedWithoutTheirValues) {
  const auto changed = [](const std::string& running, const std::string& next) {
    return ChangedSettings({{}, Parse(running)}, {{}, Parse(next)});
  };
  constexpr char kOne[] = "sources { name: 's' secrets { name: 'a' inline: 'very secret' } }";
  EXPECT_EQ(changed(kOne, kOne), "");
  EXPECT_EQ(changed(kOne, "sources { name: 's' secrets { name: 'a' inline: 'also secret' } }"),
            "sources[0].secrets[0]");
  EXPECT_EQ(changed("storage { retention { seconds: 9 } }",
                    "storage { retention { seconds: 8 } } logging { level: 'debug' }"),
            "storage.retention logging");
  std::string many;
  for (int i = 0; i < 25; ++i) absl::StrAppend(&many, "principals { name: 'p", i, "' } ");
  EXPECT_THAT(changed("", many), AllOf(HasSubstr("principals[19]"), HasSubstr(" and 5 more")));
}

// A token that moved to another name had the rights of that, and nothing was said.
TEST(ReloadTest, RightsAreHeldToTheTokenAndNotToTheNameAlone) {
  constexpr char kReader[] =
      "principals { name: 'reader' token_sha256: 'aa' rights { query: 'openai' } } "
      "principals { name: 'ops' token_sha256: 'bb' certificate_names: 'ops.internal' "
      "rights { query: '*' admin: true } }";
  const auto warnings = [&](const std::string& next) { return Check(kReader, next).warnings(); };
  EXPECT_THAT(warnings("principals { name: 'x' token_sha256: 'AA' rights { query: '*' } }"),
              ElementsAre(AllOf(HasSubstr("principals[0].rights.query"), HasSubstr("\"reader\""))));
  EXPECT_THAT(warnings("principals { name: 'ops' token_sha256: 'bb' token_sha256: 'aa' "
                       "rights { admin: true } }"),
              ElementsAre(AllOf(HasSubstr("principals[0].rights.admin"), HasSubstr("\"reader\""))));
  EXPECT_THAT(warnings("principals { name: 'y' certificate_names: 'ops.internal' "
                       "rights { query: '*' admin: true } }"),
              IsEmpty())
      << "it had them";
  EXPECT_THAT(warnings("principals { name: 'z' token_sha256: 'cc' rights { admin: true } }"),
              IsEmpty())
      << "one that is added";
}

TEST(ReloadTest, RightsForAllThatAreNewAreWarnedOf) {
  const Problems problems =
      Check("principals { name: 'a' rights { query: 'openai' consume: '*' } }",
            "principals { name: 'a' rights { query: '*' consume: '*' admin: true } }");
  EXPECT_TRUE(problems.ok());
  EXPECT_THAT(problems.warnings(), ElementsAre(HasSubstr("principals[0].rights.query"),
                                               HasSubstr("principals[0].rights.admin")));
}

}  // namespace
}  // namespace hookgate
