// How a real gateway starts, and what it says when it cannot.

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/store/database.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/program.h"
#include "tests/support/temporary_log.h"
#include "tests/support/test_certificates.h"
#include "version/version.h"

namespace hookgate {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StartupTest : public GatewayTest {
 protected:
  static std::string ConfigFlag(const std::string& config) {
    return absl::StrCat("--config=", WriteFile(config));
  }
  static std::string SecretVariable(const std::string& secret = kTestSecret) {
    return absl::StrCat("OPENAI_WEBHOOK_SECRET=", secret);
  }
  // Flags that keep a gateway that should not start from disturbing others if it does.
  std::vector<std::string> Quiet(std::vector<std::string> flags) const {
    for (const char* address : {"--http_address", "--grpc_address", "--admin_address"}) {
      flags.insert(flags.begin(), absl::StrCat(address, "=127.0.0.1:0"));
    }
    flags.insert(flags.begin(), absl::StrCat("--data_dir=", data_dir_));
    return flags;
  }
  // Expects that these flags do not start a gateway, and that the error says each of `parts`.
  void ExpectNoStart(int exit_code, const std::vector<std::string>& flags,
                     const std::vector<std::string>& environment,
                     const std::vector<std::string>& parts) {
    const auto outcome = RunProgram(kHookgated, Quiet(flags), environment);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.err;
    EXPECT_THAT(outcome.out, IsEmpty());
    for (const std::string& part : parts) EXPECT_THAT(outcome.err, HasSubstr(part));
  }
};

TEST_F(StartupTest, FreePortsAreTakenAndPrinted) {
  Start();
  EXPECT_THAT(gateway_->http(), Not(testing::EndsWith(":0")));
  EXPECT_THAT(gateway_->grpc(), Not(testing::EndsWith(":0")));
  EXPECT_THAT(gateway_->admin(), Not(testing::EndsWith(":0")));
  Store({});
}

// Nothing told which hookgated was running: not the program, not its log, not GetStatus.
TEST_F(StartupTest, EveryPlaceTellsTheSameVersion) {
  const auto outcome = RunProgram(kHookgated, {"--version"}, {});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, absl::StrCat("hookgated ", Version(), "\n"));
  Start();
  EXPECT_EQ(GetStatus().version(), Version());
  const std::string log = gateway_->log();
  const std::string first_line = log.substr(0, log.find('\n'));
  EXPECT_THAT(first_line, HasSubstr("hookgated started"));
  EXPECT_THAT(first_line, HasSubstr(std::string(Version())));
}

TEST_F(StartupTest, NoSecretNoStart) {
  ExpectNoStart(2, {}, {}, {"sources", "OPENAI_WEBHOOK_SECRET"});
  ExpectNoStart(2, {}, {SecretVariable("")}, {"OPENAI_WEBHOOK_SECRET", "empty"});
  ExpectNoStart(2, {}, {SecretVariable("  ")}, {"OPENAI_WEBHOOK_SECRET"});
  ExpectNoStart(2, {}, {SecretVariable("whsec_not base64")}, {"OPENAI_WEBHOOK_SECRET", "base64"});
}

// Wherever an operator puts it, and however wrong: RunProgram searches what is printed for it.
TEST_F(StartupTest, SecretIsNeverPrinted) {
  constexpr char kKey[] = "thisIsVerySecret";
  SecretWatch::OfThisProgram().KeepSecret("the operator's secret", kKey);
  const std::string wrong = absl::StrCat("whsec_", kKey, "!");
  const auto secret = [](const std::string& text) {
    return ConfigFlag(absl::StrCat("sources { name: \"s\" secrets { name: \"n\" ", text, " } }"));
  };
  ExpectNoStart(2, {}, {SecretVariable(wrong)}, {"OPENAI_WEBHOOK_SECRET"});
  ExpectNoStart(2, {secret(absl::StrCat("inline: \"", wrong, "\""))}, {}, {"secrets[0]"});
  ExpectNoStart(2, {secret("environment: \"KEY\"")}, {"KEY=" + wrong}, {"secrets[0]"});
  for (const char* prefix : {"whsec_", "whsk_", "whpk_"}) {
    const std::string file = WriteFile(absl::StrCat(prefix, kKey, "?\n"));
    ExpectNoStart(2, {secret(absl::StrCat("file: \"", file, "\""))}, {}, {"secrets[0]"});
  }
  // A quotation mark forgotten.
  ExpectNoStart(2, {secret(absl::StrCat("inline: \"", wrong))}, {}, {":1:"});
  ExpectNoStart(2, {secret(absl::StrCat("inline: ", wrong))}, {}, {":1:"});
  // The token instead of its digest.
  const std::string principal =
      absl::StrCat("principals { name: \"a\" token_sha256: \"", kKey, "\" }");
  ExpectNoStart(2, {ConfigFlag(principal)}, {SecretVariable()}, {"principals[0].token_sha256[0]"});
  // The file of the secret taken for the config.
  ExpectNoStart(2, {ConfigFlag(wrong + "\n")}, {SecretVariable()}, {":1:"});
}

// That the search of what gateways print bites: this one's folder is in its log and its flags.
TEST_F(StartupTest, WhatAGatewayPrintsIsSearched) {
  SecretWatch::OfThisProgram().KeepToken("the folder", data_dir_);
  Start();
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    gateway_.reset();
  }
  ASSERT_EQ(failures.size(), 2);
  EXPECT_THAT(failures.GetTestPartResult(0).message(), HasSubstr("log discloses the folder"));
  EXPECT_THAT(failures.GetTestPartResult(1).message(),
              HasSubstr("command line discloses the folder"));
}

TEST_F(StartupTest, WhatAGatewayAnswersIsSearched) {
  Start();
  SecretWatch::OfThisProgram().KeepToken("an answer", R"({"status":"ok"})");
  testing::TestPartResultArray failures;
  {
    testing::ScopedFakeTestPartResultReporter reporter(
        testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
    Exchange(gateway_->admin(), "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n");
  }
  ASSERT_EQ(failures.size(), 1);
  EXPECT_THAT(failures.GetTestPartResult(0).message(), HasSubstr("an HTTP answer discloses"));
}

TEST_F(StartupTest, ErrorsNameTheKeyAndWhatWouldBeRight) {
  const std::vector<std::string> secret = {SecretVariable()};
  ExpectNoStart(2, {"--http_address=nonsense"}, secret, {"http.address", "HOST:PORT"});
  ExpectNoStart(2, {"--grpc_address=0.0.0.0:0"}, secret, {"grpc.address", "--allow_insecure_grpc"});
  ExpectNoStart(2, {"--log_level=loud"}, secret, {"logging.level", "warning"});
  ExpectNoStart(2, {"--config=/no/such/file"}, secret, {"/no/such/file"});
  ExpectNoStart(2, {ConfigFlag("storage { retention { seconds: 3600 } }")}, secret,
                {"storage.retention", "96h"});
  ExpectNoStart(2, {ConfigFlag("http {\n  adress: \"x\"\n}")}, secret, {":2:", "adress"});
  ExpectNoStart(2, {ConfigFlag("sources { name: \"openai\" }")}, secret, {"sources[0].secrets"});
  ExpectNoStart(2,
                {ConfigFlag("sources { name: \"a\" secrets { name: \"x\" file: \"/no/file\" } }")},
                secret, {"sources[0].secrets[0].file", "/no/file"});
  ExpectNoStart(2, {"stray"}, secret, {"\"stray\"", "--help"});
  ExpectNoStart(2, {"--no_such_flag", "--check_config=perhaps", "stray"}, secret,
                {"--no_such_flag", "--check_config", "\"stray\""});
  ExpectNoStart(2, {"--config="}, secret, {"--config: is empty"});
}

TEST_F(StartupTest, CheckConfigSaysWhetherItIsRightAndStartsNothing) {
  const auto right = RunProgram(kHookgated, Quiet({"--check_config"}), {SecretVariable()});
  EXPECT_EQ(right.exit_code, 0) << right.err;
  EXPECT_THAT(right.out, HasSubstr("config is right"));
  const auto wrong = RunProgram(kHookgated, Quiet({"--check_config"}));
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("sources"));
}

// One mistake was told at a time.
TEST_F(StartupTest, CheckConfigTellsEveryMistakeAndEveryWarningAtOnce) {
  const std::string secret_file = WriteFile(absl::StrCat("\"", kTestSecret, "\""));
  const auto wrong = RunProgram(
      kHookgated,
      Quiet({ConfigFlag(absl::StrCat("http { adress: \"x\" max_connections: -1 }\n"
                                     "grpc { max_streams: -1 }\n"
                                     "sources { name: \"a\" secrets { name: \"b\" file: \"",
                                     secret_file, "\" } }\nsources { name: \"c\" }\n")),
             "--check_config"}));
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.out, IsEmpty());
  for (const char* part : {":1:14: ", "\"adress\"", "http.max_connections: is -1",
                           "grpc.max_streams: is -1", "sources[0].secrets[0]: ", "quotation marks",
                           "sources[1].secrets: ", "warning: principals: "}) {
    EXPECT_THAT(wrong.err, HasSubstr(part));
  }
}

TEST_F(StartupTest, WarningsAreNoErrors) {
  const auto checked = RunProgram(kHookgated, Quiet({"--check_config"}), {SecretVariable()});
  EXPECT_EQ(checked.exit_code, 0);
  EXPECT_THAT(checked.out, HasSubstr("warning(s)"));
  EXPECT_THAT(checked.err, HasSubstr("warning: principals: is empty, so gRPC is open"));
  Start();
  EXPECT_THAT(gateway_->log(), HasSubstr("gRPC is open"));
  EXPECT_THAT(GetStatus().config_warnings(), testing::Contains(HasSubstr("gRPC is open")));
}

// The gateway serves it, since one that is refused would end all connections; but whoever looks at
// a config before it is used wants to hear of it.
TEST_F(StartupTest, CheckConfigWarnsOfACertificateThatHasExpired) {
  const TestAuthority authority;
  for (const bool is_over : {true, false}) {
    const absl::Duration lifetime = is_over ? absl::Minutes(-30) : absl::Hours(24 * 300);
    const TestCertificate pair = authority.Issue("DNS:localhost", lifetime);
    const auto checked =
        RunProgram(kHookgated,
                   Quiet({ConfigFlag(absl::StrCat("http { tls { certificate_file: \"",
                                                  WriteFile(pair.certificate), "\" key_file: \"",
                                                  WriteFile(pair.key), "\" } }\n")),
                          "--check_config"}),
                   {SecretVariable()});
    EXPECT_EQ(checked.exit_code, 0) << checked.err;
    EXPECT_EQ(absl::StrContains(checked.err, "expired"), is_over) << checked.err;
  }
}

// A damaged epoch was served, and every cursor was refused, as of another log; a lost index ended
// the start with the statement that had needed it.
TEST_F(StartupTest, ADamagedLogIsNotServed) {
  namespace fs = std::filesystem;
  Start();
  Store({});
  gateway_->Kill();
  const std::string whole = FreshTestFolder();
  fs::create_directories(whole);
  fs::copy(data_dir_, whole);
  for (const char* damage :
       {"UPDATE log SET epoch = 'x'", "UPDATE log SET earliest_sequence = 0",
        "UPDATE log SET earliest_sequence = 65", "DELETE FROM log", "DROP INDEX failures_by_time",
        "DROP INDEX conflicts_by_touch", "DROP TABLE quarantine", "PRAGMA user_version = 1",
        "ALTER TABLE events DROP COLUMN webhook_id"}) {
    SCOPED_TRACE(damage);
    fs::remove_all(data_dir_);
    fs::copy(whole, data_dir_);
    {
      const auto database = Database::Open(data_dir_ + "/events.db", Database::Mode::kReadWrite);
      ASSERT_TRUE(database.ok()) << database.status();
      ASSERT_EQ((*database)->Execute(damage), absl::OkStatus());
    }
    const auto outcome = RunProgram(kHookgated, Quiet({}), {SecretVariable()});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, HasSubstr("hookgate fsck"));
    for (const char* sql : {"SELECT", "INSERT", "no such"}) {
      EXPECT_THAT(outcome.err, Not(HasSubstr(sql)));
    }
  }
}

mode_t ModeOf(const std::string& path) {
  struct stat found = {};
  EXPECT_EQ(stat(path.c_str(), &found), 0) << path;
  return found.st_mode & 0777;
}

// The log was for every user of the machine to read, unless hookgated had made its folder.
TEST_F(StartupTest, LogIsItsOwnersAloneInWhateverFolder) {
  std::filesystem::create_directories(data_dir_);
  ASSERT_EQ(chmod(data_dir_.c_str(), 0755), 0);
  const mode_t before = umask(022);
  Start();
  umask(before);
  Store({});
  for (const char* file : {"events.db", "events.db-wal", "events.db-shm", "lock"}) {
    EXPECT_EQ(ModeOf(absl::StrCat(data_dir_, "/", file)), 0600u) << file;
  }
  EXPECT_THAT(gateway_->log(), HasSubstr(absl::StrCat("chmod 700 ", data_dir_)));
}

TEST_F(StartupTest, LinkInTheDataFolderIsNotFollowed) {
  std::filesystem::create_directories(data_dir_);
  const std::string target = data_dir_ + "_target";
  std::filesystem::create_symlink(target, data_dir_ + "/lock");
  ExpectNoStart(1, {}, {SecretVariable()}, {data_dir_ + "/lock", "symbolic link"});
  EXPECT_FALSE(std::filesystem::exists(target));
}

std::string CoreLimitOf(pid_t pid) {
  const std::string limits = ReadTestFile(absl::StrCat("/proc/", pid, "/limits"));
  const size_t line = limits.find("Max core file size");
  return limits.substr(line, limits.find('\n', line) - line);
}

TEST_F(StartupTest, CoreFilesAreWrittenOnlyWhenAskedFor) {
  Start();
  EXPECT_THAT(CoreLimitOf(gateway_->pid()), testing::ContainsRegex("size +0 "));
  Start({"--allow_core_dumps"});
  rlimit core = {};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &core), 0);
  if (core.rlim_max > 0) {
    EXPECT_THAT(CoreLimitOf(gateway_->pid()), Not(testing::ContainsRegex("size +0 ")));
  }
}

TEST_F(StartupTest, VerifySaysWhetherTheLogIsSound) {
  Start();
  Store({});
  const auto in_use = RunProgram(kHookgated, Quiet({"--verify"}), {SecretVariable()});
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_THAT(in_use.err, HasSubstr("in use"));
  gateway_->Kill();
  const auto sound = RunProgram(kHookgated, Quiet({"--verify"}), {SecretVariable()});
  EXPECT_EQ(sound.exit_code, 0) << sound.out << sound.err;
  EXPECT_THAT(sound.out, HasSubstr("events         1,"));
  std::filesystem::resize_file(data_dir_ + "/events.db", 4096);
  std::filesystem::remove(data_dir_ + "/events.db-wal");
  const auto damaged = RunProgram(kHookgated, Quiet({"--verify"}), {SecretVariable()});
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_THAT(damaged.out + damaged.err, HasSubstr("events.db"));
}

TEST_F(StartupTest, HelpTeaches) {
  const auto outcome = RunProgram(kHookgated, {"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("OPENAI_WEBHOOK_SECRET"));
  EXPECT_THAT(outcome.out, HasSubstr("--data_dir"));
  EXPECT_THAT(outcome.out, HasSubstr("Exit codes"));
}

TEST_F(StartupTest, PortInUseIsNamed) {
  Start();
  const std::string elsewhere = absl::StrCat("--data_dir=", data_dir_, "_2");
  const std::vector<std::string> secret = {SecretVariable()};
  ExpectNoStart(1, {elsewhere, absl::StrCat("--http_address=", gateway_->http())}, secret,
                {"http.address", gateway_->http(), "in use"});
  ExpectNoStart(1, {elsewhere, absl::StrCat("--grpc_address=", gateway_->grpc())}, secret,
                {"grpc.address", gateway_->grpc(), "in use"});
  ExpectNoStart(1, {elsewhere, absl::StrCat("--admin_address=", gateway_->admin())}, secret,
                {"admin.address", gateway_->admin(), "in use"});
}

// Two writers of one log would break its order.
TEST_F(StartupTest, DataFolderInUseIsNamed) {
  Start();
  ExpectNoStart(1, {}, {SecretVariable()}, {data_dir_, "another"});
  Store({});
}

// Somebody took the lock's file for left over, and removed it: a second gateway ran on the log, and
// the first refused every webhook from then on.
TEST_F(StartupTest, DataFolderStaysLockedWithoutItsLockFile) {
  Start();
  std::filesystem::remove(data_dir_ + "/lock");
  ExpectNoStart(1, {}, {SecretVariable()}, {data_dir_, "another"});
  const auto verified = RunProgram(kHookgated, Quiet({"--verify"}), {SecretVariable()});
  EXPECT_EQ(verified.exit_code, 1);
  EXPECT_THAT(verified.err, HasSubstr("another"));
  Store({});
}

TEST_F(StartupTest, LogsAreJsonLinesUnlessOnATerminal) {
  Start();
  Store({});
  gateway_->Signal(SIGTERM);
  gateway_->WaitForExit();
  const std::string log = gateway_->log();
  EXPECT_THAT(log, testing::StartsWith("{"));
  EXPECT_THAT(log, HasSubstr("\"draining\""));
}

}  // namespace
}  // namespace hookgate
