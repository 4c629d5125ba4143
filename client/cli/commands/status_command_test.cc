#include "client/cli/commands/status_command.h"

#include <utility>

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class StatusTest : public CliTest {
 protected:
  using Secret = v1::GetStatusResponse::Secret;

  StatusTest() {
    gateway_.admin.get_status = [this](const auto&, v1::GetStatusResponse* response) {
      *response = status_;
      return grpc::Status::OK;
    };
    *status_.mutable_start_time() = ToProto(clock_.WallNow() - absl::Hours(72));
    *status_.mutable_config_time() = ToProto(clock_.WallNow() - absl::Hours(5));
    status_.set_ready(true);
    status_.set_version("0.2.0");
    status_.set_epoch("e1");
    status_.set_earliest_sequence(1);
    status_.set_head_sequence(42);
    status_.set_open_streams(3);
    auto& source = *status_.add_sources();
    source.set_name("openai");
    source.set_webhooks(47);
    *source.mutable_last_webhook_time() = Ago(absl::Minutes(3));
    AddSecret(source, "old", absl::Minutes(3)).set_use(Secret::USE_NEEDED);
    AddSecret(source, "new", absl::InfiniteDuration()).set_use(Secret::USE_NO_WEBHOOKS);
    status_.mutable_ingest()->set_stored(42);
    status_.mutable_ingest()->set_refused(5);
    *status_.mutable_ingest()->mutable_since_time() = Ago(absl::Hours(100));
    status_.mutable_quarantine()->set_entries(2);
    status_.mutable_storage()->set_used_bytes(3 << 19);
  }

  google::protobuf::Timestamp Ago(absl::Duration age) { return ToProto(clock_.WallNow() - age); }
  Secret& AddSecret(v1::GetStatusResponse::Source& source, const std::string& name,
                    absl::Duration verified_ago) {
    auto& secret = *source.add_secrets();
    secret.set_name(name);
    secret.set_scheme("v1");
    if (verified_ago < absl::InfiniteDuration()) {
      *secret.mutable_last_verified_time() = Ago(verified_ago);
    }
    return secret;
  }

  v1::GetStatusResponse status_;
};

TEST_F(StatusTest, TellsAllThatAnOperatorAsks) {
  const Outcome outcome = Run({"status"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "ready           yes\n"
            "version         0.2.0\n"
            "running since   2025-06-12 17:16:40+02:00 (3 d ago)\n"
            "config applied  2025-06-15 12:16:40+02:00 (5 h ago)\n"
            "log             events 1 to 42 are held (epoch e1)\n"
            "storage         1.5 MiB used\n"
            "open streams    3\n"
            "webhooks        42 stored, 0 duplicates, 0 conflicts, 0 quarantined, 5 refused, since "
            "2025-06-11 13:16:40+02:00\n"
            "quarantine      2 held\n"
            "\n"
            "SOURCE  SIGNED WEBHOOKS  LAST CAME\n"
            "openai               47  3 min ago\n"
            "\n"
            "SOURCE  SECRET  SCHEME  LAST VERIFIED  CAN IT GO?\n"
            "openai  old     v1      3 min ago      no: the last webhook needed it\n"
            "openai  new     v1      never          not known: no webhook came since it was "
            "configured\n");
}

// An operator who rotates a secret saw when each had last verified a webhook, until a restart, and
// was left to guess whether one can go.
TEST_F(StatusTest, EachSecretSaysWhetherItCanGo) {
  auto& source = *status_.mutable_sources(0);
  source.clear_secrets();
  source.clear_last_webhook_time();
  Secret& only = AddSecret(source, "only", absl::Hours(1));
  only.set_use(Secret::USE_ONLY_SECRET);
  Secret& waits = AddSecret(source, "waits", absl::Hours(5));
  waits.set_use(Secret::USE_WAIT);
  waits.set_webhooks_since_needed(1);
  *waits.mutable_last_needed_time() = Ago(absl::Hours(5));
  *waits.mutable_wait_until_time() = Ago(absl::Hours(-67));
  Secret& goes = AddSecret(source, "goes", absl::Hours(24 * 5));
  goes.set_use(Secret::USE_NOT_NEEDED);
  goes.set_webhooks_since_needed(1204);
  *goes.mutable_last_needed_time() = Ago(absl::Hours(24 * 5));
  *goes.mutable_first_configured_time() = Ago(absl::Hours(24 * 50));
  Secret& never = AddSecret(source, "never", absl::InfiniteDuration());
  never.set_use(Secret::USE_NEVER_VERIFIED);
  never.set_webhooks_since_needed(12);
  *never.mutable_first_configured_time() = Ago(absl::Hours(24 * 7));
  AddSecret(source, "untold", absl::Hours(1));
  EXPECT_THAT(
      Run({"status"}).out,
      HasSubstr(
          "openai               47  never\n"
          "\n"
          "SOURCE  SECRET  SCHEME  LAST VERIFIED  CAN IT GO?\n"
          "openai  only    v1      1 h ago        no: the source has no other\n"
          "openai  waits   v1      5 h ago        not yet: 1 webhook did not need it (since 5 h "
          "ago); wait for webhooks after 2025-06-18 12:16:40+02:00\n"
          "openai  goes    v1      5 d ago        YES: 1204 webhooks did not need it (since 5 d "
          "ago)\n"
          "openai  never   v1      never          it verified none of 12 webhooks since it was "
          "configured (7 d ago): have the sender sign with it\n"
          "openai  untold  v1      1 h ago        not told by this gateway\n"));
}

TEST_F(StatusTest, RefusalsAreToldByReason) {
  EXPECT_THAT(Run({"status"}).out, Not(HasSubstr("refused for")));
  auto& ingest = *status_.mutable_ingest();
  for (const auto& [reason, count] :
       {std::pair("signature_mismatch", 4), std::pair("\x1b[2J", 1)}) {
    auto& refusal = *ingest.add_refusals();
    refusal.set_reason(reason);
    refusal.set_count(count);
  }
  EXPECT_THAT(Run({"status"}).out,
              HasSubstr("\nrefused for     4 signature_mismatch, 1 \\x1b[2J\nquarantine "));
}

// A reload of before the start says nothing of the config that the start has read.
TEST_F(StatusTest, ReloadOfBeforeTheStartIsToldAsThat) {
  auto& reload = *status_.mutable_last_reload();
  *reload.mutable_time() = Ago(absl::Hours(80));
  reload.add_errors("principals: there were 2");
  const std::string refused = Run({"status"}).out;
  EXPECT_THAT(refused, HasSubstr("last reload     REFUSED 2025-06-12 09:16:40+02:00 (3 d ago); "
                                 "the start has read the config since then\n"));
  EXPECT_THAT(refused, HasSubstr("\nconfig error before the start: principals: there were 2\n"));
  reload.set_applied(true);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("last reload     applied 2025-06-12 "));
}

TEST_F(StatusTest, AnOlderGatewayCountsSinceItsStart) {
  status_.mutable_ingest()->clear_since_time();
  const std::string out = Run({"status"}).out;
  EXPECT_THAT(out, HasSubstr("5 refused, since the start\n"));
  EXPECT_THAT(out, Not(HasSubstr("SIGNED WEBHOOKS")));
}

TEST_F(StatusTest, NotReadySaysWhyAndFails) {
  status_.set_ready(false);
  status_.add_not_ready_reasons("draining");
  status_.add_not_ready_reasons("the log refuses writes");
  const Outcome outcome = Run({"status"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.out, HasSubstr("ready           no: draining; the log refuses writes\n"));
  EXPECT_THAT(Run({"status", "--output=json"}).out, HasSubstr(R"("ready":false,)"));
}

TEST_F(StatusTest, AnEmptyLogAndAFullQuarantineAreSaidInWords) {
  status_.set_earliest_sequence(43);
  status_.mutable_quarantine()->set_removed_by_limits(7);
  const std::string out = Run({"status"}).out;
  EXPECT_THAT(out, HasSubstr("no events are held (epoch e1)\n"));
  EXPECT_THAT(out, HasSubstr("2 held, 7 removed by its limits\n"));
}

TEST_F(StatusTest, StorageIsToldWithItsLimit) {
  status_.mutable_storage()->set_max_bytes(64 << 20);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("storage         1.5 MiB used of 64.0 MiB\n"));
  status_.mutable_storage()->set_used_bytes(65 << 20);
  EXPECT_THAT(Run({"status"}).out,
              HasSubstr("65.0 MiB used of 64.0 MiB: above storage.max_bytes until "));
  status_.clear_storage();
  EXPECT_THAT(Run({"status"}).out, HasSubstr("storage         not told by this gateway\n"));
}

// A reload that had failed was only in the log: the config looked applied.
TEST_F(StatusTest, ReloadThatWasRefusedIsToldWithAllItsErrors) {
  auto& reload = *status_.mutable_last_reload();
  *reload.mutable_time() = ToProto(clock_.WallNow() - absl::Minutes(3));
  reload.add_errors("principals: there were 2");
  reload.add_errors("http.address: \x1b[2J");
  status_.add_config_warnings("grpc: open");
  const Outcome outcome = Run({"status"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_THAT(outcome.out, HasSubstr("last reload     REFUSED "));
  EXPECT_THAT(outcome.out, HasSubstr("(3 min ago); the config before stays in force\n"));
  EXPECT_THAT(outcome.out, HasSubstr("\nconfig error: principals: there were 2\n"
                                     "config error: http.address: \\x1b[2J\n"
                                     "config warning: grpc: open\n\n"));
  reload.clear_errors();
  reload.set_applied(true);
  EXPECT_THAT(Run({"status"}).out, HasSubstr("last reload     applied "));
  EXPECT_THAT(Run({"status", "--output=json"}).out, HasSubstr(R"("last_reload":{)"));
}

TEST_F(StatusTest, JsonIsOneObjectWithoutHoles) {
  const Outcome outcome = Run({"status", "--output", "json"});
  EXPECT_EQ(outcome.exit_code, kSuccess);
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1);
  EXPECT_THAT(outcome.out, HasSubstr(R"("ready":true,"not_ready_reasons":[],)"));
  EXPECT_THAT(outcome.out, HasSubstr(R"({"name":"new","scheme":"v1","use":"USE_NO_WEBHOOKS",)"));
  EXPECT_THAT(outcome.out, HasSubstr(R"("duplicates":"0")"));
}

TEST_F(StatusTest, AGatewayWithoutAVersionIsOlder) {
  status_.clear_version();
  EXPECT_THAT(Run({"status"}).out, HasSubstr("version         not told by this gateway\n"));
}

TEST_F(StatusTest, AnOlderGatewayIsExplained) {
  gateway_.admin.get_status = nullptr;
  const Outcome outcome = Run({"status"});
  EXPECT_EQ(outcome.exit_code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("not older than this client"));
}

TEST_F(StatusTest, NobodyThereIsUnreachable) {
  channel_target_ = "127.0.0.1:1";
  EXPECT_EQ(Run({"status"}).exit_code, kUnreachable);
}

}  // namespace
}  // namespace hookgate::cli
