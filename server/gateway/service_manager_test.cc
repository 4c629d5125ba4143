#include "server/gateway/service_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/notify_socket.h"

namespace hookgate {
namespace {

using testing::MatchesRegex;

TEST(ServiceManagerTest, SaysWhatTheProcessDoes) {
  for (const auto kind : {NotifySocket::kPath, NotifySocket::kAbstract}) {
    NotifySocket socket(kind);
    const ServiceManager manager(socket.name());
    manager.TellReady("webhooks at 127.0.0.1:8080");
    EXPECT_EQ(socket.Next(), "READY=1\nSTATUS=webhooks at 127.0.0.1:8080\n");
    manager.TellReloading();
    EXPECT_THAT(socket.Next(), MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=.*\n"));
    manager.TellStopping();
    EXPECT_THAT(socket.Next(), MatchesRegex("STOPPING=1\nSTATUS=.*\n"));
  }
}

TEST(ServiceManagerTest, AStatusIsOneLine) {
  NotifySocket socket(NotifySocket::kPath);
  ServiceManager(socket.name()).TellReady("one\nMAINPID=1");
  EXPECT_EQ(socket.Next(), "READY=1\nSTATUS=one MAINPID=1\n");
}

// Whoever starts hookgated by hand has no service manager; and what the variable says may be wrong.
TEST(ServiceManagerTest, WithoutOneNothingHappens) {
  for (const std::string& socket :
       {std::string(), std::string("relative"), std::string("/"), std::string("@"),
        std::string("/no/such/socket"), absl::StrCat("/", std::string(200, 'x'))}) {
    const ServiceManager manager(socket);
    manager.TellReady("ready");
    manager.TellReloading();
    manager.TellStopping();
  }
}

}  // namespace
}  // namespace hookgate
