// SIGHUP: a real gateway goes on with another config, or stays with the one it has.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "tests/integration/gateway_fixture.h"
#include "tests/support/event_stream.h"
#include "tests/support/eventually.h"
#include "tests/support/temporary_log.h"

namespace hookgate {
namespace {

using testing::HasSubstr;

constexpr char kOnlyOpenai[] =
    R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" } })";

class ReloadTest : public GatewayTest {};

TEST_F(ReloadTest, SecretIsRotatedWithoutARestart) {
  StartWithConfig(kOnlyOpenai);
  EventStream stream(gateway_->grpc(), "start_position: START_POSITION_EARLIEST");
  ASSERT_TRUE(stream.Next().has_opened());
  EXPECT_EQ(Send({.secret = kNewSecret}).status, 401);
  Reload(R"(sources { name: "openai" secrets { name: "old" file: "SECRET_FILE" }
                      secrets { name: "new" inline: "NEW_SECRET" } })");
  Store({});
  Store({.secret = kNewSecret});
  Reload(R"(sources { name: "openai" secrets { name: "new" inline: "NEW_SECRET" } })");
  EXPECT_EQ(Send({}).status, 401);
  Store({.secret = kNewSecret});
  // The stream has seen none of it.
  EXPECT_THAT(stream.NextSequences(3), testing::ElementsAre(1, 2, 3));
}

TEST_F(ReloadTest, SourcesComeAndGo) {
  StartWithConfig(kOnlyOpenai);
  EXPECT_EQ(Send({.source = "staging"}).status, 404);
  Reload(R"(sources { name: "staging" secrets { name: "a" file: "SECRET_FILE" } })");
  Store({.source = "staging"});
  EXPECT_EQ(Send({}).status, 404);
}

TEST_F(ReloadTest, WrongConfigIsRefusedAsAWholeAndTheReasonIsLogged) {
  StartWithConfig(kOnlyOpenai);
  Reload(R"(sources { name: "staging" secrets { name: "a" file: "SECRET_FILE" } }
            sources { name: "Bad Name" secrets { name: "a" file: "SECRET_FILE" } })");
  EXPECT_THAT(gateway_->log(), HasSubstr("sources[1].name"));
  EXPECT_EQ(Send({.source = "staging"}).status, 404);
  Store({});
  Reload("sources { nonsense");
  Store({});
}

// It was told of a variable for the secret, and not that the file had lost all it held.
TEST_F(ReloadTest, AnEmptiedFileIsSaidToHaveLostWhatItHeld) {
  StartWithConfig(kOnlyOpenai);
  Reload("");
  EXPECT_THAT(gateway_->log(), HasSubstr("sources: there were 1, and now there are 0: is the file "
                                         "truncated or empty?"));
  Store({});
}

TEST_F(ReloadTest, WhatNeedsARestartIsRefusedAndNamed) {
  StartWithConfig(kOnlyOpenai);
  Reload(R"(sources { name: "staging" secrets { name: "a" file: "SECRET_FILE" } }
            http { max_connections: 5 })");
  EXPECT_THAT(gateway_->log(), HasSubstr("http.max_connections"));
  EXPECT_THAT(gateway_->log(), HasSubstr("restart"));
  EXPECT_EQ(Send({.source = "staging"}).status, 404);
  Store({});
}

TEST_F(ReloadTest, LogLevelChanges) {
  StartWithConfig(R"(logging { level: "warning" })");
  EXPECT_EQ(Send({.secret = kNewSecret}).status, 401);
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("signature_mismatch")));
  Reload(R"(logging { level: "info" })");
  EXPECT_EQ(Send({.secret = kNewSecret}).status, 401);
  EXPECT_THAT(gateway_->log(), HasSubstr("signature_mismatch"));
}

// A reload that had failed was only in the log.
TEST_F(ReloadTest, LastReloadIsInTheStatusWithAllItsErrors) {
  StartWithConfig(kOnlyOpenai);
  EXPECT_FALSE(GetStatus().has_last_reload());
  Reload(
      R"(sources { name: "Bad Name" secrets { name: "a" file: "/none" } } drain_timeout { seconds: -1 })");
  v1::GetStatusResponse::Reload last = GetStatus().last_reload();
  EXPECT_FALSE(last.applied());
  EXPECT_TRUE(last.has_time());
  EXPECT_THAT(last.errors(), testing::UnorderedElementsAre(
                                 HasSubstr("drain_timeout: "), HasSubstr("sources[0].name: "),
                                 HasSubstr("sources[0].secrets[0].file: ")));
  for (const std::string& error : last.errors()) EXPECT_THAT(gateway_->log(), HasSubstr(error));
  Reload(kOnlyOpenai);
  last = GetStatus().last_reload();
  EXPECT_TRUE(last.applied());
  EXPECT_THAT(last.errors(), testing::IsEmpty());
}

// Whatever became of the file, the sources and their secrets stay.
TEST_F(ReloadTest, EmptiedFilesChangeNothing) {
  const std::string secret_file = WriteFile(std::string(kTestSecret) + "\n");
  const std::string config = absl::StrCat(R"(sources { name: "openai" secrets { name: "a" file: ")",
                                          secret_file, R"(" } allowed_networks: "127.0.0.0/8" })");
  StartWithConfig(config);
  for (const char* next : {"", "\n", "# nothing\n", "storage { }"}) {
    Reload(next);
    EXPECT_THAT(GetStatus().last_reload().errors(), testing::Contains(HasSubstr("sources: ")));
    Store({});
  }
  Reload(absl::StrCat(R"(sources { name: "openai" secrets { name: "a" file: ")", secret_file,
                      R"(" } })"));
  EXPECT_THAT(GetStatus().last_reload().errors(),
              testing::ElementsAre(HasSubstr("sources[0].allowed_networks: ")));
  for (const char* secret : {"", "\n", "x", "whsec_"}) {
    std::ofstream(secret_file) << secret;
    Reload(config);
    EXPECT_THAT(GetStatus().last_reload().errors(),
                testing::ElementsAre(HasSubstr("sources[0].secrets[0]: ")));
    Store({});
  }
}

// The line said that a config was applied, and not what had become of the settings.
TEST_F(ReloadTest, TheLogNamesTheSettingsThatHaveChanged) {
  StartWithConfig(absl::StrCat(kOnlyOpenai, R"( logging { level: "info" })"));
  Reload(absl::StrCat(kOnlyOpenai, R"( logging { level: "info" })"));
  EXPECT_THAT(gateway_->log(), HasSubstr(R"("changed_settings":"none")"));
  Reload(absl::StrCat(kOnlyOpenai,
                      R"( logging { level: "debug" } storage { max_bytes: 1000000000 })"));
  EXPECT_THAT(gateway_->log(),
              HasSubstr(R"("changed_settings":"storage.max_bytes logging.level")"));
}

// SIGTERM waited for a file that nobody wrote, and the reload that it ended was told as refused.
TEST_F(ReloadTest, AReloadThatWaitsForAFileDoesNotHoldUpTheEnd) {
  StartWithConfig(kOnlyOpenai);
  const std::string pipe = FreshTestFolder();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  BeginReload(
      absl::StrCat(R"(sources { name: "openai" secrets { name: "a" file: ")", pipe, R"(" } })"));
  // Somebody reads it, or opening it for writing would fail.
  int writer = -1;
  ASSERT_TRUE(Eventually("the secret is read", [&] {
    writer = open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return writer >= 0;
  }));
  const absl::Cleanup close_writer = [writer] { close(writer); };
  const absl::Duration before = SystemClock().MonotonicNow();
  gateway_->Signal(SIGTERM);
  EXPECT_EQ(gateway_->WaitForExit(), 0);
  EXPECT_LT(SystemClock().MonotonicNow() - before, absl::Seconds(9)) << "the file's own time";
  EXPECT_THAT(gateway_->log(), Not(HasSubstr("config not applied")));
}

}  // namespace
}  // namespace hookgate
