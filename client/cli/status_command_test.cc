#include "client/cli/status_command.h"

#include "client/cli/cli_fixture.h"
#include "client/cli/exit_code.h"
#include "gmock/gmock.h"
#include "server/base/proto_time.h"

namespace hookgate::cli {
namespace {

using ::testing::HasSubstr;

class StatusTest : public CliTest {
 protected:
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
    AddSecret(source, "old", absl::Minutes(3));
    AddSecret(source, "new", absl::InfiniteDuration());
    status_.mutable_ingest()->set_stored(42);
    status_.mutable_ingest()->set_refused(5);
    status_.mutable_quarantine()->set_entries(2);
    status_.mutable_storage()->set_used_bytes(3 << 19);
  }

  void AddSecret(v1::GetStatusResponse::Source& source, const std::string& name,
                 absl::Duration verified_ago) {
    auto& secret = *source.add_secrets();
    secret.set_name(name);
    secret.set_scheme("v1");
    if (verified_ago < absl::InfiniteDuration()) {
      *secret.mutable_last_verified_time() = ToProto(clock_.WallNow() - verified_ago);
    }
  }

  v1::GetStatusResponse status_;
};

TEST_F(StatusTest, TellsAllThatAnOperatorAsks) {
  const Outcome outcome = Run({"status"});
  EXPECT_EQ(outcome.exit_code, kFine);
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
            "the start\n"
            "quarantine      2 held\n"
            "\n"
            "SOURCE  SECRET  SCHEME  LAST VERIFIED A WEBHOOK\n"
            "openai  old     v1      3 min ago\n"
            "openai  new     v1      never since the start\n");
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
  EXPECT_EQ(outcome.exit_code, kFine);
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
  EXPECT_EQ(outcome.exit_code, kFine);
  EXPECT_EQ(outcome.out.find('\n'), outcome.out.size() - 1);
  EXPECT_THAT(outcome.out, HasSubstr(R"("ready":true,"not_ready_reasons":[],)"));
  EXPECT_THAT(outcome.out, HasSubstr(R"({"name":"new","scheme":"v1"})"));
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
