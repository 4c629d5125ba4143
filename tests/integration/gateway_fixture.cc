#include "tests/integration/gateway_fixture.h"

#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/support/event_stream.h"
#include "tests/support/temporary_log.h"

namespace hookgate {

std::string GatewayTest::NewDataDir() { return FreshTestFolder(); }

void GatewayTest::TearDown() {
  if (HasFailure() && gateway_ != nullptr) {
    std::cerr << "The gateway's log:\n" << gateway_->log() << "\n";
  }
}

void GatewayTest::Start(const std::vector<std::string>& flags) {
  gateway_.reset();  // Two cannot have the same log.
  gateway_ = HookgatedProcess::Start(data_dir_, flags);
}

void GatewayTest::StartWithConfig(std::string config) {
  const std::string secret_file = WriteFile(absl::StrCat(kTestSecret, "\n"));
  Start({absl::StrCat("--config=",
                      WriteFile(absl::StrReplaceAll(config, {{"SECRET_FILE", secret_file}})))});
}

HttpReply GatewayTest::SendBytes(const std::string& request) {
  return Exchange(gateway_->http(), request).value_or(HttpReply());
}

void GatewayTest::Store(SignedWebhook webhook) {
  const HttpReply reply = Send(std::move(webhook));
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_NE(reply.body.find("\"stored\""), std::string::npos) << reply.body;
}

std::vector<v1::Event> GatewayTest::StoredEvents() {
  EventStream stream(gateway_->grpc(),
                     "start_position: START_POSITION_EARLIEST include_raw_body: true");
  return stream.EventsUntilCaughtUp();
}

std::string GatewayTest::WriteFile(const std::string& content) {
  const std::string path = FreshTestFolder();
  std::ofstream(path) << content;
  return path;
}

}  // namespace hookgate
