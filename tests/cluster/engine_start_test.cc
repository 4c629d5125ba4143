// Machines that boot together: a gateway that holds nothing yet comes up before its engine. It
// ended at once; it waits, says so on /readyz, and can be stopped.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/cluster/engine_process.h"
#include "tests/cluster/gateway_cluster.h"
#include "tests/cluster/postgres_cluster.h"
#include "tests/support/hookgated_process.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(2);

class EngineStartTest : public testing::Test {
 protected:
  void SetUp() override {
    postgres_ = PostgresCluster::Start();
    if (postgres_ == nullptr) GTEST_SKIP() << "PostgreSQL is not installed";
    for (int i = 0; i < postgres_->servers(); ++i) postgres_->Stop(i);
    StartGateway();
  }
  void TearDown() override {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    WaitForProgram(pid_);
  }

  void StartGateway() {
    const std::string config = FreshTestFile("config");
    WriteConfig(config);
    admin_ = absl::StrCat("127.0.0.1:", FreePort());
    log_path_ = FreshTestFile("output");
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pid_ = StartProgram(kHookgated,
                        {absl::StrCat("--config=", config), "--http_address=127.0.0.1:0",
                         "--grpc_address=127.0.0.1:0", absl::StrCat("--admin_address=", admin_),
                         absl::StrCat("--data_dir=", FreshTestFolder())},
                        {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret)}, "/dev/null", nowhere,
                        log_path_);
    close(nowhere);
    ASSERT_NE(pid_, 0);
  }
  void WriteConfig(const std::string& path) const {
    const std::string text =
        absl::StrCat("cluster { name: \"hooks\" replica: \"a\" postgresql { uri: \"",
                     postgres_->UriOfAll(), "\" } }\n");
    const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(fd);
  }
  bool StartEngine() {
    bool all = true;
    for (int i = 0; i < postgres_->servers(); ++i) all = postgres_->StartAgain(i) && all;
    return all;
  }
  // Of /readyz; "" while nobody answers.
  std::string Readiness() const {
    const auto reply = TryExchange(
        admin_, "GET /readyz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", kPatience);
    return reply.has_value() ? absl::StrCat(reply->status, " ", reply->body) : "";
  }
  bool AwaitWaiting() const {
    return BecomesTrue([&] {
      return absl::StrContains(Readiness(), "503 ") &&
             absl::StrContains(Readiness(), "waiting for the cluster's log: ");
    });
  }
  int WaitForExit() {
    const int exit_code = WaitForProgram(pid_);
    pid_ = 0;
    return exit_code;
  }
  std::string log() const { return ReadTestFile(log_path_); }

  std::unique_ptr<PostgresCluster> postgres_;
  std::string admin_;
  std::string log_path_;
  pid_t pid_ = 0;
};

TEST_F(EngineStartTest, AGatewayWaitsForItsEngineAndServesOnceThatIsThere) {
  ASSERT_TRUE(AwaitWaiting()) << Readiness() << log();
  EXPECT_THAT(log(), HasSubstr("waiting for the cluster's log"));
  ASSERT_TRUE(StartEngine());
  EXPECT_TRUE(BecomesTrue([&] { return absl::StrContains(Readiness(), "200 "); }))
      << Readiness() << log();
  // A graceful shutdown, as of any gateway.
  kill(pid_, SIGTERM);
  EXPECT_EQ(WaitForExit(), 0) << log();
  EXPECT_THAT(log(), HasSubstr("drained"));
}

TEST_F(EngineStartTest, OneThatWaitsIsStopped) {
  ASSERT_TRUE(AwaitWaiting()) << Readiness() << log();
  kill(pid_, SIGTERM);
  EXPECT_EQ(WaitForExit(), 0) << log();
  EXPECT_THAT(log(), HasSubstr("stopped before it was ready"));
}

// What nobody may run on is no reason to wait.
TEST_F(EngineStartTest, AnUnsafeEngineIsRefusedByTheSettingsNameWhenItComes) {
  ASSERT_TRUE(AwaitWaiting()) << Readiness() << log();
  ASSERT_TRUE(postgres_->StartAgain(0));
  ASSERT_TRUE(postgres_->Set(0, "synchronous_standby_names", ""));
  EXPECT_EQ(WaitForExit(), 1) << log();
  EXPECT_THAT(log(), HasSubstr("synchronous_standby_names"));
}

}  // namespace
}  // namespace hookgate
