// What GetStatus and `hookgate status` tell of a real gateway, over restarts, crashes, reloads and
// restores.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Secret = v1::GetStatusResponse::Secret;

constexpr char kOldAndNew[] =
    R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" }
                                secrets { name: "new" inline: "NEW_SECRET" } })";
constexpr char kNewAndOld[] =
    R"(sources { name: "openai" secrets { name: "new" inline: "NEW_SECRET" }
                                secrets { name: "old" file: "SECRET_FILE" } })";
constexpr char kOldNowOther[] =
    R"(sources { name: "openai" secrets { name: "old" inline: "OTHER_SECRET" }
                                secrets { name: "new" inline: "NEW_SECRET" } })";

class StatusTest : public GatewayTest {
 protected:
  void Stop() {
    gateway_->Signal(SIGTERM);
    EXPECT_EQ(gateway_->WaitForExit(), 0);
  }
  void Restart(const std::string& config) {
    gateway_.reset();
    StartWithConfig(config);
  }
  // What the log holds, while a gateway runs on it.
  int64_t StoredSum() const {
    sqlite3* database = nullptr;
    sqlite3_stmt* sum = nullptr;
    EXPECT_EQ(sqlite3_open_v2((data_dir_ + "/events.db").c_str(), &database, SQLITE_OPEN_READONLY,
                              nullptr),
              SQLITE_OK);
    EXPECT_EQ(
        sqlite3_prepare_v2(database, "SELECT sum(value) FROM status_counters", -1, &sum, nullptr),
        SQLITE_OK);
    EXPECT_EQ(sqlite3_step(sum), SQLITE_ROW);
    const int64_t value = sqlite3_column_int64(sum, 0);
    sqlite3_finalize(sum);
    sqlite3_close(database);
    return value;
  }
  // One of each kind, 6 in all.
  void SendEachKind() {
    Store({.webhook_id = "wh_1"});
    EXPECT_EQ(Send({.webhook_id = "wh_1"}).status, 200);
    EXPECT_EQ(Send({.webhook_id = "wh_1", .body = BatchFailedBody("another")}).status, 200);
    EXPECT_EQ(Send({.body = "{", .secret = kNewSecret}).status, 400);
    EXPECT_EQ(Send({.secret = kWrongSecret}).status, 401);
    EXPECT_EQ(Send({.source = "nobody"}).status, 404);
  }
  void ExpectEachKind(const v1::GetStatusResponse& status) {
    EXPECT_EQ(status.ingest().stored(), 1);
    EXPECT_EQ(status.ingest().duplicates(), 1);
    EXPECT_EQ(status.ingest().conflicts(), 1);
    EXPECT_EQ(status.ingest().quarantined(), 1);
    EXPECT_EQ(status.ingest().refused(), 2);
    ASSERT_EQ(status.ingest().refusals_size(), 2);
    EXPECT_EQ(status.ingest().refusals(0).reason(), "unknown_source");
    EXPECT_EQ(status.ingest().refusals(1).reason(), "signature_mismatch");
    ASSERT_EQ(status.sources_size(), 1);
    EXPECT_EQ(status.sources(0).webhooks(), 4);
  }
  std::string StatusPage() {
    const ProgramOutcome outcome =
        RunProgram(kHookgate, {"status", absl::StrCat("--grpc=", gateway_->grpc())});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome.out;
  }
};

// A restart forgot all counts, when each secret had last verified something, and how the last
// reload had ended.
TEST_F(StatusTest, CountsSecretsAndTheLastReloadOutliveARestart) {
  StartWithConfig(kOldAndNew);
  SendEachKind();
  Reload("nonsense {");
  const v1::GetStatusResponse before = GetStatus();
  ExpectEachKind(before);
  Stop();
  Restart(kNewAndOld);
  const v1::GetStatusResponse after = GetStatus();
  ExpectEachKind(after);
  EXPECT_EQ(after.ingest().SerializeAsString(), before.ingest().SerializeAsString());
  EXPECT_EQ(after.last_reload().SerializeAsString(), before.last_reload().SerializeAsString());
  EXPECT_THAT(after.last_reload().errors(), testing::Contains(HasSubstr("has no field named")));
  EXPECT_LT(after.last_reload().time().seconds(), after.start_time().seconds() + 1);
  // Another order of the config is the same secrets.
  const auto& source = after.sources(0);
  EXPECT_EQ(source.last_webhook_time().SerializeAsString(),
            before.sources(0).last_webhook_time().SerializeAsString());
  EXPECT_EQ(source.secrets(0).SerializeAsString(),
            before.sources(0).secrets(1).SerializeAsString());
  EXPECT_EQ(source.secrets(1).SerializeAsString(),
            before.sources(0).secrets(0).SerializeAsString());
  EXPECT_THAT(StatusPage(),
              AllOf(HasSubstr("1 stored, 1 duplicates, 1 conflicts, 1 quarantined, 2 refused"),
                    HasSubstr("refused for     1 unknown_source, 1 signature_mismatch\n"),
                    HasSubstr("; the start has read the config since then\n"),
                    HasSubstr("config error before the start: ")));
  // And go on.
  Store({});
  EXPECT_EQ(GetStatus().ingest().stored(), 2);
  EXPECT_EQ(GetStatus().sources(0).webhooks(), 5);
}

// Nothing but what the last second brought may be missing after kill -9.
TEST_F(StatusTest, WhatWasWrittenBesideCommitsOutlivesKill9) {
  StartWithConfig(kOldAndNew);
  SendEachKind();
  // Nothing else happens at this gateway.
  ASSERT_TRUE(Eventually("the counts are stored", [&] { return StoredSum() >= 6; }));
  const v1::GetStatusResponse before = GetStatus();
  gateway_->Kill();
  Restart(kOldAndNew);
  const v1::GetStatusResponse after = GetStatus();
  ExpectEachKind(after);
  EXPECT_EQ(after.sources(0).SerializeAsString(), before.sources(0).SerializeAsString());
}

TEST_F(StatusTest, ASecretThatIsRotatedSaysSoAndPutBackGoesOn) {
  StartWithConfig(R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" } })");
  Store({});
  EXPECT_EQ(GetStatus().sources(0).secrets(0).use(), Secret::USE_ONLY_SECRET);
  Reload(kOldAndNew);
  EXPECT_EQ(GetStatus().sources(0).secrets(0).use(), Secret::USE_NEEDED);
  EXPECT_EQ(GetStatus().sources(0).secrets(1).use(), Secret::USE_NO_WEBHOOKS);
  Store({});
  EXPECT_EQ(GetStatus().sources(0).secrets(1).use(), Secret::USE_NEVER_VERIFIED);
  EXPECT_EQ(GetStatus().sources(0).secrets(1).webhooks_since_needed(), 1);
  // A webhook that both have signed needs the new one.
  SignedWebhook both = {.webhook_id = "wh_both"};
  const auto of_old = both.SignedFields();
  SignedWebhook of_new = both;
  of_new.secret = kNewSecret;
  of_new.more_fields = {of_old.back()};
  Store(of_new);
  EXPECT_EQ(GetStatus().sources(0).secrets(1).use(), Secret::USE_NEEDED);
  Secret old_secret = GetStatus().sources(0).secrets(0);
  EXPECT_EQ(old_secret.use(), Secret::USE_WAIT);
  EXPECT_EQ(old_secret.webhooks_since_needed(), 1);
  EXPECT_GE(old_secret.wait_until_time().seconds(),
            old_secret.last_needed_time().seconds() + 72 * 3600);
  EXPECT_THAT(StatusPage(), HasSubstr("not yet: 1 webhook did not need it (since just now); "));
  // Another key under its name is another secret, by a reload and by a restart.
  Reload(kOldNowOther);
  EXPECT_FALSE(GetStatus().sources(0).secrets(0).has_last_verified_time());
  Stop();
  Restart(kOldNowOther);
  EXPECT_FALSE(GetStatus().sources(0).secrets(0).has_last_verified_time());
  EXPECT_EQ(GetStatus().sources(0).secrets(1).use(), Secret::USE_NEEDED);
  // The one before is not forgotten, in case this was a mistake.
  Reload(kOldAndNew);
  EXPECT_EQ(GetStatus().sources(0).secrets(0).SerializeAsString(), old_secret.SerializeAsString());
}

TEST_F(StatusTest, ASourceThatIsPutBackGoesOnWhereItWas) {
  StartWithConfig(kOldAndNew);
  Store({});
  const std::string before = GetStatus().sources(0).SerializeAsString();
  Reload(R"(sources { name: "other" secrets { name: "old" file: "SECRET_FILE" } })");
  ASSERT_EQ(GetStatus().sources_size(), 1);
  EXPECT_EQ(GetStatus().sources(0).webhooks(), 0);
  Stop();
  Restart(kOldAndNew);
  EXPECT_EQ(GetStatus().sources(0).SerializeAsString(), before);
}

TEST_F(StatusTest, TheLogHoldsNothingOfASecret) {
  StartWithConfig(kOldAndNew);
  SendEachKind();
  Stop();
  gateway_.reset();
  const std::string file = ReadTestFile(data_dir_ + "/events.db");
  ASSERT_THAT(file, HasSubstr("secret_status"));
  ExpectNothingDisclosed(SecretWatch::kAnswer, "events.db", file);
}

TEST_F(StatusTest, ARestoredBackupBringsItsCounts) {
  StartWithConfig(kOldAndNew);
  SendEachKind();
  ASSERT_TRUE(Eventually("the counts are stored", [&] { return StoredSum() >= 6; }));
  const v1::GetStatusResponse before = GetStatus();
  const std::string backup = BackUpLog(data_dir_) + "/events.db";
  for (int i = 0; i < 3; ++i) Store({.secret = kNewSecret});
  Stop();
  gateway_.reset();
  const ProgramOutcome restored = RunProgram(
      kHookgated,
      {absl::StrCat("--restore=", backup), absl::StrCat("--data_dir=", data_dir_), "--force"});
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  StartWithConfig(kOldAndNew);
  const v1::GetStatusResponse after = GetStatus();
  ExpectEachKind(after);
  EXPECT_EQ(after.ingest().SerializeAsString(), before.ingest().SerializeAsString());
  EXPECT_EQ(after.sources(0).SerializeAsString(), before.sources(0).SerializeAsString());
}

}  // namespace
}  // namespace hookgate
