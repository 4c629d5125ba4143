// What a real gateway tells the service manager that started it. Before, systemd took a hookgated
// for started that was still opening its log, and for reloaded one that had not read its config.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/notify_socket.h"
#include "tests/support/program.h"
#include "tests/support/secret_watch.h"

namespace hookgate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class ServiceManagerTest : public GatewayTest {
 protected:
  static void Write(const std::string& path, const std::string& content) {
    std::ofstream(path) << content;
  }

  NotifySocket socket_{NotifySocket::kPath};
};

TEST_F(ServiceManagerTest, HearsOfTheStartTheReloadAndTheEnd) {
  const std::string good = R"(logging { level: "info" })";
  const std::string config = WriteFile(good);
  gateway_ = HookgatedProcess::Start(data_dir_, {absl::StrCat("--config=", config)},
                                     {absl::StrCat("NOTIFY_SOCKET=", socket_.name())});
  EXPECT_THAT(socket_.Next(), AllOf(StartsWith("READY=1\n"), HasSubstr(gateway_->http()),
                                    HasSubstr(gateway_->grpc()), HasSubstr(gateway_->admin())));
  gateway_->Signal(SIGHUP);
  EXPECT_THAT(socket_.Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_THAT(socket_.Next(), AllOf(StartsWith("READY=1\n"), HasSubstr(gateway_->http())));
  // A config that is refused changes nothing; whoever waits for the reload hears of its end, and
  // why.
  Write(config, "sources { nonsense");
  gateway_->Signal(SIGHUP);
  EXPECT_THAT(socket_.Next(), StartsWith("RELOADING=1\n"));
  EXPECT_THAT(socket_.Next(), AllOf(StartsWith("READY=1\n"), HasSubstr("refused")));
  Write(config, good);
  gateway_->Signal(SIGHUP);
  EXPECT_THAT(socket_.Next(), StartsWith("RELOADING=1\n"));
  EXPECT_THAT(socket_.Next(), AllOf(StartsWith("READY=1\n"), Not(HasSubstr("refused"))));
  gateway_->Signal(SIGTERM);
  EXPECT_THAT(socket_.Next(), StartsWith("STOPPING=1\n"));
  EXPECT_EQ(gateway_->WaitForExit(), 0);
}

// A gateway that cannot start is never said to be ready: the next message is of the one that can.
TEST_F(ServiceManagerTest, HearsNothingOfAStartThatFails) {
  const std::string variable = absl::StrCat("NOTIFY_SOCKET=", socket_.name());
  const ProgramOutcome outcome =
      RunProgram(kHookgated, {absl::StrCat("--data_dir=", WriteFile("a file, not a folder"))},
                 {absl::StrCat("OPENAI_WEBHOOK_SECRET=", kTestSecret), variable});
  EXPECT_NE(outcome.exit_code, 0);
  gateway_ = HookgatedProcess::Start(data_dir_, {}, {variable});
  EXPECT_THAT(socket_.Next(), AllOf(StartsWith("READY=1\n"), HasSubstr(gateway_->http())));
}

}  // namespace
}  // namespace hookgate
